#!/bin/sh
# Renew the locks. Index addresses stay out of the files: they are this machine's own business.
set -eu
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "uv is not on PATH: pip install uv" >&2; exit 1; }
compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links --upgrade "$@"
}
# without batch clients: those are in the images and in the lab
compile pyproject.toml --extra dask --extra plot --output-file containers/locks/run.txt
compile pyproject.toml containers/locks/dev.in --extra dask --extra plot --group dev --output-file containers/locks/dev.txt

# The lab (ci/lab): Debian 13's Python on Linux only; the development environment and the engines' clients
compile_lab() {
    uv pip compile --quiet --python-version 3.13 --python-platform x86_64-manylinux_2_28 --generate-hashes \
        --no-annotate --no-header --no-emit-index-url --no-emit-find-links --upgrade "$@"
}
compile_lab pyproject.toml containers/locks/dev.in containers/locks/lab.in --extra dask --extra plot --group dev \
    --constraint containers/locks/dev.txt --output-file containers/locks/lab.txt
compile_lab containers/locks/lab-rucio.in --output-file containers/locks/lab-rucio.txt
compile_lab containers/locks/lab-gateway.in --output-file containers/locks/lab-gateway.txt
git --no-pager diff --stat -- containers/locks
