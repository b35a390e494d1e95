#!/bin/sh
# %test: what an image must be able to do. Arguments: further programs that must be there.
set -eu
python3 - <<'PYTHON'
import sys

assert sys.version_info[:2] == (3, 13), sys.version
assert sys.prefix == "/opt/venv", sys.prefix
import awkward, coffea, correctionlib, dask.distributed, hist, htcondor2, numba, parsl, pyarrow, uproot
from XRootD import client

total = awkward.sum(awkward.Array([[1.0, 2.0], [], [3.0]]), axis=1).to_list()
assert total == [3.0, 0.0, 3.0], total
print("python", sys.version.split()[0], "coffea", coffea.__version__, "awkward", awkward.__version__)
PYTHON
for program in xrdcp xrdfs voms-proxy-init voms-proxy-info "$@"; do
    command -v "$program" >/dev/null || { echo "$program is missing in the image" >&2; exit 1; }
done
test -s /etc/ssl/certs/ca-certificates.crt
for folder in /afs /cvmfs /eos; do
    test -d "$folder" || { echo "there is no $folder to mount on" >&2; exit 1; }
done
if [ -e /opt/venv/bin/pocket-coffea ]; then
    /opt/venv/bin/pocket-coffea --version
    # a list made with other packages is of no use: see read_ahead.py
    grep -v '^#' /opt/pocket-coffea/read_ahead.txt | while read -r file _; do
        test -e "$file" || { echo "read_ahead.txt is of another image: there is no $file" >&2; exit 1; }
    done
fi
