#!/bin/sh
# The last step of every <site>.def: the bytecode that starts need, as one file. See bytecode_archive.py.
set -eu
packages=$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# what an archive finds is no file to it
rm -f "$packages/_bytecode_archive.pth"
# in the archive as well: the first heavy import waits for it
cp /.build/steps/read_ahead.py "$packages/_read_ahead.py"
cp /.build/steps/read_ahead.txt /opt/pocket-coffea/read_ahead.txt
sh /.build/steps/bytecode.sh "$packages/_read_ahead.py"
home=$(mktemp -d)
# nothing of who builds: the modules that are loaded decide bytes of the image
env -i PATH=/opt/venv/bin:/usr/bin:/bin LC_ALL=C.UTF-8 HOME="$home" PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 \
    /opt/venv/bin/python -s -P /.build/steps/bytecode_archive.py _read_ahead "$@"
rm -rf "$home"
cp /.build/steps/bytecode_archive.py "$packages/_bytecode_archive.py"
sh /.build/steps/bytecode.sh "$packages/_bytecode_archive.py"
echo 'import _bytecode_archive' >"$packages/_bytecode_archive.pth"
# Python compares the times of folders with that of the archive
touch /opt/pocket-coffea/bytecode.bin
