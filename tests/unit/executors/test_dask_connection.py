from __future__ import annotations

import logging
import os
import signal
import sys
import time

import pytest

from pocket_coffea.errors import OptionError
from pocket_coffea.executors.dask_connection import _signals_kept, worker_ports
from pocket_coffea.executors.dask_local import hide_leaving_clients
from pocket_coffea.log import setup_logging
from pocket_coffea.run.options import merge_run_options


@pytest.mark.parametrize("given", ["10000:10100", "10000", 10000, None])
def test_ports_of_workers(given):
    assert worker_ports({"dask-worker-port": given}) == (None if given is None else str(given))


@pytest.mark.parametrize("given", ["", "many", "10100:10000", "1:2:3", "70000", "10000:"])
def test_ports_that_are_none(given):
    with pytest.raises(OptionError, match="dask-worker-port = "):
        worker_ports({"dask-worker-port": given})


def test_the_ports_that_workers_of_cern_may_listen_on():
    assert merge_run_options("dask@lxplus").as_dict()["dask-worker-port"] == "10000:10100"
    assert merge_run_options("dask@T3_CH_PSI").as_dict().get("dask-worker-port") is None


def test_a_client_that_leaves_is_for_the_log_file(tmp_path):
    shown = []
    undo = setup_logging("INFO", lambda text, _level: shown.append(text), tmp_path / "logfile.log")
    try:
        hide_leaving_clients()
        hide_leaving_clients()
        for operation in ("register-client", "register-worker"):
            logging.getLogger("distributed.core").error("Exception while handling op %s", operation)
    finally:
        undo()
    assert shown == ["ERROR: Exception while handling op register-worker"]
    assert "register-client" in (tmp_path / "logfile.log").read_text()
    assert len(logging.getLogger("distributed.core").filters) == 1


def test_an_interrupt_while_dask_jobqueue_is_imported_is_none_with_code_0():
    def interrupted_import():
        with _signals_kept():
            signal.signal(signal.SIGINT, lambda *_: sys.exit())  # as it does
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupted_import()
    assert signal.getsignal(signal.SIGINT) == before
