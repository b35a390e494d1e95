#!/bin/sh
# Renew the locks. Index addresses stay out of the files: they are this machine's own business.
set -eu
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "uv is not on PATH: pip install uv" >&2; exit 1; }
compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links --upgrade "$@"
}
compile pyproject.toml --extra all --output-file containers/locks/run.txt
compile pyproject.toml containers/locks/dev.in --extra all --group dev --output-file containers/locks/dev.txt
git --no-pager diff --stat -- containers/locks
