#!/bin/sh
# Make the virtual environment VENV from the hash-pinned LOCK; STAMP marks it complete.
set -eu
venv=$1 lock=$2 stamp=$3
if [ -z "${PYTHON:-}" ]; then
    echo "PocketCoffea needs Python 3.11 or newer; none of python3, python3.13, python3.12, python3.11 is." >&2
    echo "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2
    exit 1
fi
if ! "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "$PYTHON cannot make virtual environments (modules venv and ensurepip)." >&2
    echo "On Debian or Ubuntu: apt-get install python3-venv" >&2
    exit 1
fi
echo "Setting up $venv with $("$PYTHON" --version) from $lock (once, a minute or two) ..."
rm -f "$venv"/.setup-*
[ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    { rm -rf "$venv"; "$PYTHON" -m venv "$venv"; }
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
"$venv/bin/python" -m pip install -q -q --require-hashes --no-deps -r "$lock"
"$venv/bin/python" -m pip install -q -q --no-deps --no-build-isolation --no-index -e .
touch "$stamp"
