#!/bin/sh
# %post of base.def: the Python packages of the lock, from the wheels that were copied in.
set -eu
umask 022
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1

# pip runs from Debian's wheel of it and is not left in the environment
python3 -m venv --without-pip /opt/venv
PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) /opt/venv/bin/python -m pip install --quiet \
    --no-compile --no-index --no-deps --require-hashes --find-links /.build/wheels --requirement /.build/image.txt
sh /.build/steps/bytecode.sh /opt/venv /usr/lib/python3.13 /usr/lib/python3

# folders that sites mount
mkdir -p /afs /cvmfs /eos /pnfs /srv /scratch /opt/pocket-coffea
cp /.build/steps/test.sh /opt/pocket-coffea/test.sh
chmod 755 /opt/pocket-coffea/test.sh
rm -rf /.build
