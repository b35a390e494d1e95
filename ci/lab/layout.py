"""Where things are in the lab: names, ports and folders that services, faults and tests share.

Every lab has a network of its own (its own loopback), so the ports are the same in each.
"""

from __future__ import annotations

from pathlib import Path

PHYSICIST = "physicist"
HOST_NAME = "lab.site"  # the machine on which physicist works and on which jobs with /shared run
BARE_HOST_NAME = "bare.site"  # worker without /shared, as at FNAL

PROJECT = Path("/project")  # the checkout, read-only
WORK = Path("/work")  # writable, on the host's disk, survives `lab down`
SHARED = Path("/shared")  # seen by the submit side and by workers
SCRATCH = Path("/scratch")  # of the worker alone
IMAGES = Path("/images")  # the host's image store, read-only
CVMFS = Path("/cvmfs")  # the grid's certificates, where every site has them
ETC = Path("/etc/lab")
LOGS = Path("/var/log/lab")
RUN = Path("/run/lab")
CONTROL = RUN / "control.sock"

VENV = Path("/opt/venv")
RUCIO_VENV = Path("/opt/rucio")
GATEWAY_VENV = Path("/opt/gateway")

PORTS = {
    "condor": 9618,
    "condor-bare": 9620,
    "slurmctld": 6817,
    "slurmd": 6818,
    "slurmdbd": 6819,
    "xrootd-redirector": 1094,
    "xrootd-kit": 1095,
    "xrootd-fnal": 1096,
    "cmsd-redirector": 1213,
    "dask-scheduler": 8786,
    "dask-dashboard": 8788,  # not 8787, which every LocalCluster of a user tries first
    "gateway": 8000,
    "gateway-api": 8001,
    "gateway-tcp": 8002,
    "rucio": 8443,
}
