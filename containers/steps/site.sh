#!/bin/sh
# %post of every <site>.def: PocketCoffea, and the Debian PACKAGE... that only this site needs.
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1

if [ $# -gt 0 ]; then
    apt-get -qq update
    # a build that is interrupted is thrown away: dpkg need not wait for the disk
    apt-get -qq install --yes --no-install-recommends --option Dpkg::Options::=--force-unsafe-io "$@" >/dev/null
    sh /.build/steps/bytecode.sh /usr/lib/python3
    # made by the installation, at random: a cluster's own key stays on the cluster, its clients talk to its munged
    rm -f /etc/munge/munge.key
fi
PYTHONPATH=$(echo /usr/share/python-wheels/pip-*.whl) /opt/venv/bin/python -m pip install --quiet \
    --no-compile --no-index --no-deps --find-links /.build/project pocket-coffea
packages=$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
sh /.build/steps/bytecode.sh "$packages/pocket_coffea"
# the sha256 of every file of every Python package, as one: see %environment of base.def
cat "$packages"/*.dist-info/RECORD | LC_ALL=C sort | sha256sum | cut -c 1-16 >/opt/pocket-coffea/packages.sha256
# what analyses and their workers start with
sh /.build/steps/archive.sh coffea.processor coffea.nanoevents correctionlib dask.distributed hist pocket_coffea.cli.main
rm -rf /.build
