from __future__ import annotations

import importlib
import os
import signal
import sys
import textwrap
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from coffea import processor

from pocket_coffea.errors import ConfigurationError, OptionError
from pocket_coffea.executors import executors_base, executors_lxplus, executors_manual_jobs
from pocket_coffea.executors.dask_factory import SiteDaskExecutorFactory
from pocket_coffea.executors.executors_base import (
    DaskExecutorFactory,
    ExecutorFactoryABC,
    FuturesExecutorFactory,
    IterativeExecutorFactory,
    get_executor_factory,
)
from pocket_coffea.executors.local import DaskExecutor, FuturesExecutor, IterativeExecutor
from pocket_coffea.executors.registry import (
    FACADES,
    check_executor,
    load_custom_setup,
    make_factory,
    site_factories,
    split_executor,
)
from pocket_coffea.executors.worker_pool import ALLOCATOR
from pocket_coffea.sites.book import SiteBook
from tests.unit.executors.proxies import make_proxy

LOCAL = {"ignore-grid-certificate": True, "scaleout": 2, "retries": 4, "tree-reduction": 7}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in ("X509_USER_PROXY", "XRD_RUNFORKHANDLER", *ALLOCATOR):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", os.environ)
    yield
    for name in ("X509_USER_PROXY", "XRD_RUNFORKHANDLER", *ALLOCATOR):
        os.environ.pop(name, None)


def total(item):
    return {"n": item}


def test_iterative(tmp_path):
    factory = get_executor_factory("iterative", run_options=LOCAL, outputdir=str(tmp_path))
    executor = factory.get()
    assert isinstance(factory, IterativeExecutorFactory)
    assert isinstance(executor, IterativeExecutor)
    assert isinstance(executor, processor.IterativeExecutor)
    assert (executor.retries, executor.treereduction) == (4, 7)
    assert factory.x509_path is None
    assert os.environ["XRD_RUNFORKHANDLER"] == "1"
    assert int(os.environ["MALLOC_TRIM_THRESHOLD_"]) > 0
    assert "X509_USER_PROXY" not in os.environ


def test_futures_keep_their_processes():
    factory = get_executor_factory("futures", run_options=LOCAL)
    try:
        executor = factory.get()
        assert isinstance(factory, FuturesExecutorFactory)
        assert isinstance(executor, FuturesExecutor)
        assert executor.workers == 2
        assert executor.processes is factory.get().processes
        assert executor(range(4), total, None) == ({"n": 6}, 0)
    finally:
        factory.close()


@pytest.fixture(scope="module")
def dask_factory():
    pytest.importorskip("distributed")
    factory = get_executor_factory("dask", run_options={**LOCAL, "mem-per-worker": 1})
    yield factory
    factory.close()
    assert factory.dask_client is None


@pytest.mark.slow
def test_dask_on_this_machine(dask_factory):
    executor = dask_factory.get()
    assert isinstance(dask_factory, DaskExecutorFactory)
    assert isinstance(executor, DaskExecutor)
    workers = dask_factory.dask_client.scheduler_info()["workers"].values()
    assert [worker["memory_limit"] for worker in workers] == [10**9, 10**9], "a bare number counts GB"
    assert executor(range(4), total, None) == ({"n": 6}, 0)
    trims = dask_factory.dask_client.run(os.getenv, "MALLOC_TRIM_THRESHOLD_").values()
    assert set(trims) == {ALLOCATOR["MALLOC_TRIM_THRESHOLD_"]}
    interrupts = dask_factory.dask_client.run(signal.getsignal, signal.SIGINT).values()
    assert set(interrupts) == {signal.SIG_IGN}, "Ctrl-C is for the main process"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_nobody_else_can_use_the_dask_cluster(dask_factory):
    from distributed import Client
    from distributed.security import Security

    address = dask_factory.dask_cluster.scheduler_address
    assert address.startswith("tls://127.0.0.1:")
    workers = dask_factory.dask_client.scheduler_info()["workers"]
    for place in (address, *workers):
        with pytest.raises(OSError, match=r"TCP|Timed out|connect"):
            Client(place.replace("tls://", "tcp://"), timeout=2)
        with pytest.raises(OSError, match="certificate"):
            Client(place, security=Security.temporary(), timeout=2)


def assert_no_status_pages(factory):
    ports = {"scheduler": factory.dask_cluster.scheduler.http_server.port}
    ports |= {
        name: worker["services"]["dashboard"]
        for name, worker in factory.dask_client.scheduler_info()["workers"].items()
    }
    for port in ports.values():
        for page in ("/", "/info/main/workers.html", "/json/identity.json", "/metrics", "/health", "/status"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5)


@pytest.mark.slow
def test_the_status_pages_of_dask_show_nothing(dask_factory):
    assert_no_status_pages(dask_factory)


@pytest.mark.slow
def test_the_status_pages_show_nothing_after_a_cluster_that_has_some(dask_factory):
    from distributed import Client

    # ours has set Dask's routes; without bokeh this one appends to them
    with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"):
        pass
    factory = get_executor_factory("dask", run_options={**LOCAL, "scaleout": 1})
    try:
        assert_no_status_pages(factory)
    finally:
        factory.close()


@pytest.mark.parametrize("missing", ["cryptography", "distributed"])
def test_without_the_packages_of_dask(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigurationError, match=rf"{missing} is not installed.*pocket-coffea\[dask\]"):
        get_executor_factory("dask", run_options=LOCAL)


def test_the_allocator_of_the_user_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "7")
    assert IterativeExecutorFactory(LOCAL).environment()["MALLOC_TRIM_THRESHOLD_"] == "7"


def test_a_name_that_does_not_exist():
    with pytest.raises(OptionError, match="Did you mean 'futures'"):
        get_executor_factory("future", run_options=LOCAL)
    with pytest.raises(OptionError, match="Did you mean 'lxplus'"):
        check_executor("dask@lxpluss")
    with pytest.raises(OptionError, match="There is no executor 'parsl@lxplus'"):
        check_executor("parsl@lxplus")
    with pytest.raises(OptionError, match="There is no executor 'condor'"):
        check_executor("condor")


def test_executor_strings():
    name, site = split_executor("dask@DESY_NAF")
    assert (name, site.name) == ("dask", "DESY")
    assert split_executor("iterative") == ("iterative", None)
    assert check_executor("dask@local") == "dask"
    assert check_executor("futures@lxplus") == "futures"


@pytest.mark.parametrize("executor", ["condor@lxplus", "condor@rubin", "condor@lpc", "slurm@T3_CH_PSI"])
def test_executors_that_submit_jobs_are_known(executor):
    assert check_executor(executor) == executor.partition("@")[0]
    factory = make_factory(executor, LOCAL, "out")
    assert factory.handles_submission
    assert factory.executor == executor


@pytest.mark.parametrize("site", SiteBook(), ids=lambda site: site.name)
def test_every_site_has_local_executors_and_those_of_its_file(site):
    factory = make_factory(f"iterative@{site.name}", LOCAL, "out")
    assert isinstance(factory, IterativeExecutorFactory)
    factories = site_factories(site)
    assert set(factories) == {"iterative", "futures", *site.executors}
    if "dask" in factories:
        assert issubclass(factories["dask"], SiteDaskExecutorFactory)
        assert factories["dask"].site in (site.name, "")


@pytest.mark.parametrize("name", FACADES)
def test_the_classes_that_users_subclass_know_their_site(name):
    module = importlib.import_module(f"pocket_coffea.executors.{FACADES[name]}")
    assert {cls.site for cls in module.get_executor_factory.factories.values() if hasattr(cls, "site")} == {
        name
    }


def test_a_site_of_a_user_has_a_dask_executor(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ndescription: a test\nbatch: slurm\nexecutors: {dask: {}}\n")
    assert check_executor("dask@mine", SiteBook([file])) == "dask"
    with pytest.raises(OptionError, match="There is no executor 'parsl@mine'"):
        check_executor("parsl@mine", SiteBook([file]))


def test_a_site_class_can_be_subclassed_with_its_own_cluster():
    class Mine(executors_lxplus.DaskExecutorFactory):
        def start_cluster(self):
            self.dask_client = self.run_options["scaleout"]

        def customized_args(self):
            return {**super().customized_args(), "priority": 5}

        def close(self):
            pass

    executor = Mine(run_options=LOCAL, outputdir="out").get()
    assert isinstance(executor, DaskExecutor)
    assert (executor.client, executor.priority, executor.treereduction) == (2, 5, 7)


def test_manual_jobs_have_their_documented_names(tmp_path):
    assert executors_manual_jobs.INNER_RUN_OPTIONS_FILENAME == "inner_run_options.yaml"
    assert {"skip-bad-files", "tree-reduction"} <= set(executors_manual_jobs.INNER_RUN_OPTIONS_WHITELIST)
    factory = executors_lxplus.ExecutorFactoryCondorCERN(run_options=LOCAL, outputdir="out")
    assert factory.executor == "condor@lxplus"
    with pytest.raises(ConfigurationError, match=r"condor@lxplus submits jobs and ends"):
        factory.get()
    path = executors_manual_jobs.write_inner_run_options(str(tmp_path), {**LOCAL, "queue": "workday"})
    assert Path(path).read_text() == "tree-reduction: 7\nretries: 4\n"
    script = tmp_path / "job.sh"
    script.write_text(executors_lxplus.build_job_script())
    executors_manual_jobs.ensure_job_sh_forwards_inner_yaml(str(script))
    with pytest.raises(ConfigurationError, match=r"job\.sh was written by another version"):
        executors_manual_jobs.ensure_sub_transfers_inner_yaml(str(script))


def test_the_given_proxy_is_used_as_it_is(tmp_path):
    proxy = make_proxy(tmp_path / "x509up", 86400)
    options = {"voms-proxy": str(proxy), "ignore-grid-certificate": False}
    factory = IterativeExecutorFactory(options)
    assert factory.x509_path == str(proxy)
    assert os.environ["X509_USER_PROXY"] == str(proxy)
    with pytest.raises(ConfigurationError, match="voms-proxy"):
        IterativeExecutorFactory({**options, "voms-proxy": str(tmp_path / "none")})


def test_without_a_valid_proxy_a_grid_run_stops(monkeypatch, tmp_path):
    monkeypatch.setenv("X509_USER_PROXY", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="voms-proxy-init"):
        IterativeExecutorFactory({"ignore-grid-certificate": False})


DOCUMENTED = '''
# custom executor defined in my_custom_executor.py by the user

from pocket_coffea.executors.executors_base import ExecutorFactoryABC
from .executors_base import IterativeExecutorFactory, FuturesExecutorFactory

from coffea import processor as coffea_processor


class ExecutorFactoryCustom(ExecutorFactoryABC):
    def get(self):
        return coffea_processor.dask_executor(**self.customized_args())

    def setup(self):
        """This function is called by the base class constructor"""
        # do all the needed setup
        self.start_custom_dask_cluster()

    def start_custom_dask_cluster(self):
        self.dask_cluster = None  # custom configuration

    def customized_args(self):
        """This function customized the args that coffea uses to instantiate
        the executor class passed by the get() method"""
        args = super().customized_args()
        args["custom-arg"] = "..."
        return args

    def close(self):
        # cleanup
        self.dask_cluster.close()


def get_executor_factory(executor_name, **kwargs):
    if executor_name == "iterative":
        return IterativeExecutorFactory(**kwargs)
    elif executor_name == "futures":
        return FuturesExecutorFactory(**kwargs)
    elif executor_name == "dask":
        return ExecutorFactoryCustom(**kwargs)
'''


def test_the_documented_custom_executor_works_as_it_is_written(tmp_path, caplog):
    module = tmp_path / "my_custom_executor.py"
    module.write_text(DOCUMENTED)
    factory = make_factory("dask", LOCAL, "out", str(module))
    assert isinstance(factory, ExecutorFactoryABC)
    executor = factory.get()
    assert isinstance(executor, processor.DaskExecutor)
    assert executor.client is None
    assert "'custom-arg' is not known any more" in caplog.text
    assert isinstance(make_factory("iterative", LOCAL, "out", str(module)), IterativeExecutorFactory)


def test_custom_modules_that_cannot_work(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no file"):
        load_custom_setup(str(tmp_path / "none.py"))
    for text, message in (
        ("x = 1", "does not define get_executor_factory"),
        ("import not_a_module", "ModuleNotFoundError"),
        ("def get_executor_factory(name, **kw): return None", "must return an object that derives from"),
        (
            "def get_executor_factory(name, **kw):\n    raise RuntimeError('no cluster')",
            r"(?s)custom.py: .*'dask'.* failed: RuntimeError: no cluster\n.*line 2, in get_executor_factory",
        ),
    ):
        module = tmp_path / "custom.py"
        module.write_text(textwrap.dedent(text))
        with pytest.raises(ConfigurationError, match=message):
            make_factory("dask", LOCAL, "out", str(module))


def test_public_names():
    assert executors_base.ExecutorFactoryABC.handles_submission is False
    assert executors_manual_jobs.ExecutorFactoryManualABC.handles_submission is True
