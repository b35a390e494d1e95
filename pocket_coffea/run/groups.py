"""Run groups of datasets one after the other: process, write, record what failed."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coffea.nanoevents import NanoAODSchema

from pocket_coffea.config.digests import configuration_digests
from pocket_coffea.log import FILE_ONLY
from pocket_coffea.run.filesets import Filesets
from pocket_coffea.run.ledger import skipped_files
from pocket_coffea.run.options import RunOptions, per_sample
from pocket_coffea.run.outputs import OutputFolder
from pocket_coffea.run.plan import describe_plan, plan_digest
from pocket_coffea.run.progress import Progress
from pocket_coffea.run.provenance import code_identity, make_provenance
from pocket_coffea.run.resume import CheckpointStore, changed_since, resume_folder
from pocket_coffea.run.runner import PocketRunner
from pocket_coffea.run.skims import SkimDefinition
from pocket_coffea.run.summary import RunReport
from pocket_coffea.utils.atomic import write_whole
from pocket_coffea.utils.interrupt import stop_if_interrupted
from pocket_coffea.utils.wording import count_of

__all__ = ["GroupRunner"]

log = logging.getLogger(__name__)


class GroupRunner:
    """Runs groups of datasets of a loaded configuration with one executor factory and fills ``report``."""

    def __init__(
        self,
        config: Any,
        options: RunOptions,
        folder: OutputFolder,
        factory: Any,
        report: RunReport,
        *,
        request: Any,
        progress: Progress,
    ) -> None:
        self.config = config
        self.options = options
        self.folder = folder
        self.factory = factory
        self.report = report
        self.request = request
        self.progress = progress
        self.skims: SkimDefinition | None = None
        #: failed jobs of earlier runs into this folder that are not part of this one
        self.failed_elsewhere: list[str] = []
        self.resume = resume_folder(folder.path)
        self.digests = configuration_digests(config)

    def run(self, groups: Mapping[str, Filesets]) -> None:
        """Run every group; an error ends the run only if the groups are not separate."""
        separate = self.request.process_separately
        for number, (name, filesets) in enumerate(groups.items(), start=1):
            if separate:
                log.info("%s (%d of %d): %s", name, number, len(groups), ", ".join(filesets))
            try:
                self.run_group(name, filesets)
            except Exception as exc:
                self.progress.stop()
                path = self.folder.write_error(name, exc)
                # the error that ends a run is shown by whoever called
                quiet = None if separate else FILE_ONLY
                log.exception("%s failed: %s", name, exc, extra=quiet)  # noqa: TRY401  (the console has no traceback)
                log.info("The traceback is in %s", path)
                if not separate:
                    raise
                self.report.failed[name] = str(exc)
                self.report.errors.append(exc)
            else:
                self.folder.clear_error(name)
        self._record()

    def _record(self) -> None:
        failed = list(self.report.failed)
        if self.request.process_separately:  # otherwise the record is about other outputs than this one
            path = self.folder.write_failed([*self.failed_elsewhere, *failed])
            if self.failed_elsewhere:
                names = ", ".join(self.failed_elsewhere)
                log.warning("%s failed earlier, not part of this run: still in %s", names, path)
            if failed:
                log.warning("%d job(s) failed. Failed jobs saved to %s", len(failed), path)
        if not failed:
            shutil.rmtree(self.resume, ignore_errors=True)  # the run is complete

    # -- one group

    def run_group(self, name: str, filesets: Filesets) -> None:
        """Process one group and write its output."""
        start = datetime.now(UTC)
        runner = self._runner()
        plan = runner.make_plan(filesets, "Events")
        log.info(
            "%s: %s with %s in %s, planned in %.1f s",
            name,
            count_of(len(plan.chunks), "chunk"),
            count_of(sum(map(len, plan.chunks)), "event"),
            count_of(len(plan.files), "file"),
            (datetime.now(UTC) - start).total_seconds(),
        )
        stop_if_interrupted()
        identity = self._identity(filesets)
        digest = plan_digest(plan.chunks, identity)
        if self._done_before(name, digest):
            return
        runner.store = self._store(name, digest, plan, identity)
        self._hint(len(plan.chunks))
        self.progress.start(name, plan.chunks)
        try:
            output = runner(plan.chunks, processor_instance=self.config.processor_instance, treename="Events")
        finally:
            self.progress.stop()
        output["ledger"] = runner.ledger
        output["provenance"] = make_provenance(
            digests=self.digests,
            options=self.options.with_origins(),
            executor=self.request.executor_name,
            plan=digest,
            start=start,
            configuration_file=str(self.request.cfg),
            calibrations_not_applied=self.config.calibrations_not_applied,
            workers=self._workers(),
            throughput=runner.throughput,
        )
        path = self.folder.save(output, name)
        self._account(name, digest, path, runner)
        if self.skims is not None:
            self.skims.add(output, tolerated={dataset for dataset, *_ in skipped_files(runner.ledger)})
            self.skims.write(self.config.filesets)
        if runner.store is not None:
            runner.store.clear()

    def _workers(self) -> dict[str, Any]:
        """Return what the factory, which may be the user's own, says of the surroundings of its workers."""
        provenance = getattr(self.factory, "provenance", None)
        return dict(provenance()) if callable(provenance) else {}

    def _runner(self) -> PocketRunner:
        return PocketRunner(
            executor=self.factory.get(),
            chunksize=self._chunksize(),
            maxchunks=self.options["limit-chunks"],
            skipbadfiles=self.options["skip-bad-files"],
            schema=NanoAODSchema,
            format="root",
            observer=self.progress,
        )

    def _chunksize(self) -> int | Callable[[Mapping[str, Any]], int]:
        size = self.options["chunksize"]
        if not isinstance(size, Mapping):
            return int(size)
        for sample in set(size) - {"default"} - set(self.config.samples):
            log.warning("chunksize: no dataset of this run has the sample %r", sample)
        origin = self.options.origin("chunksize")
        return lambda metadata: per_sample(size, str(metadata["sample"]), "chunksize", origin) or 1

    def _fan_in(self) -> int:
        return int(self.options["tree-reduction"])

    def _identity(self, filesets: Filesets) -> dict[str, Any]:
        """Return what decides the output besides the chunks."""
        return {
            "configuration": self.digests["configuration"],
            "parameters": self.digests["parameters"],
            "metadata": {name: dict(fileset["metadata"]) for name, fileset in filesets.items()},
            "code": code_identity()["source_digest"],
            "tree-reduction": self._fan_in(),
        }

    def _store(self, name: str, digest: str, plan: Any, identity: dict[str, Any]) -> CheckpointStore | None:
        store = CheckpointStore(self.resume / digest[:16], self._fan_in(), plan.chunks)
        kept = store.count()
        if self.request.resume:
            log.info("--resume: %d of %d chunks are completed already", kept, len(plan.chunks))
            changed = [] if kept else changed_since(self.resume, name, describe_plan(plan.chunks, identity))
            if changed:
                log.warning(
                    "--resume: completed chunks of another run are not used, because these changed: %s; "
                    "starting afresh",
                    ", ".join(changed),
                )
        elif kept:
            log.warning(
                "%d completed chunks of an unfinished run are dropped; with --resume they would have "
                "been used",
                kept,
            )
            store.clear()
        if not self.options["checkpoint"]:
            return None
        store.describe(name, describe_plan(plan.chunks, identity))
        return store

    def _hint(self, chunks: int) -> None:
        workers = self.report.workers
        if 1 < chunks < workers:
            log.info(
                "%d chunks keep only %d of %d workers busy; smaller chunks (-c) would use all",
                chunks,
                chunks,
                workers,
            )

    def _account(self, name: str, digest: str, path: Path, runner: PocketRunner) -> None:
        self.report.outputs.append(path)
        self.report.add_throughput(runner.throughput)
        skipped = skipped_files(runner.ledger)
        self.report.skipped += skipped
        log.info("Output saved to %s", path)
        if self.request.process_separately:
            stat = path.stat()
            done = {"plan": digest, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "skipped": skipped}
            write_whole(self._marker(name), json.dumps(done))

    # -- groups that an interrupted run completed

    def _marker(self, name: str) -> Path:
        return self.resume / f"{name.replace('/', '_')}.done"

    def _done_before(self, name: str, digest: str) -> bool:
        """Return whether the run that is resumed has written this very output."""
        if not (self.request.resume and self.request.process_separately):
            return False
        path = self.folder.output_file(name)
        with contextlib.suppress(OSError, ValueError, KeyError):
            done = json.loads(self._marker(name).read_text(encoding="utf-8"))
            stat = path.stat()
            if (done["plan"], done["size"], done["mtime_ns"]) == (digest, stat.st_size, stat.st_mtime_ns):
                log.info("--resume: %s is complete already: %s", name, path)
                self.report.resumed_groups.append(name)
                self.report.outputs.append(path)
                self.report.skipped += [tuple(entry) for entry in done["skipped"]]
                return True
        return False
