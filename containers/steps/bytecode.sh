#!/bin/sh
# Compile FOLDER... for good: an image never changes, so the bytecode carries no times and is never compared
# with its source. Templates that are no valid Python are left out, as pip does.
set -eu
python3 -m compileall -qq -j 0 -f --invalidation-mode unchecked-hash "$@" || true
