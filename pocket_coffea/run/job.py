"""One batch job: ``python -m pocket_coffea.run.job job.json SCRATCH BACK <arguments of the job>``.

It checks what it was given, processes its slice (or merges the skimmed files in it), checks its own output,
delivers it and says how it went. ``job.sh`` (executors/jobs/wrapper.py) starts it and passes on the arguments
of the batch system: number, slice, sha256 of the slice, chunksize, attempt, seconds, cpus. The batch system
fetches files from BACK.

=========  ============================================================================
exit code  means
=========  ============================================================================
0          delivered
72         payload or slice does not match its digest
73         input cannot be read, from no replica
74         the output cannot be written or delivered
75         stopped at the time limit or because it was asked to; completed chunks are kept
76         processing error; the traceback is on stderr
77         out of memory
=========  ============================================================================
"""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocket_coffea.errors import InputFileError, OutputError, PocketCoffeaError
from pocket_coffea.executors.jobs.facts import (
    CHECKPOINTS,
    JobFacts,
    checkpoints_name,
    report_name,
    returned_report_name,
)
from pocket_coffea.executors.jobs.packing import pack_folder, unpack_folder
from pocket_coffea.executors.jobs.payload import load_slice, read_slice, sha256_of
from pocket_coffea.log import setup_logging
from pocket_coffea.run.job_clock import JobClock
from pocket_coffea.run.job_delivery import Parcel, deliver_all
from pocket_coffea.run.job_merging import SkimMerge
from pocket_coffea.run.job_processing import (
    SliceRun,
    checked_output,
    file_folders,
    is_on_device_of,
    missing_skims,
    split_by_category,
)
from pocket_coffea.run.job_report import (
    DELIVERY,
    MEMORY,
    PROCESSING,
    TIME,
    WrongPayload,
    exit_code_of,
    reason_of,
    usage,
    write_report,
)
from pocket_coffea.run.read_limit import READ_SECONDS
from pocket_coffea.run.summary import RunReport
from pocket_coffea.utils.transfer import staged
from pocket_coffea.utils.wording import count_of

__all__ = ["Arguments", "Attempt", "main"]

log = logging.getLogger(__name__)

#: When ``job.sh`` began, in seconds since the epoch.
BEGAN = "POCKET_COFFEA_BEGAN"


@dataclasses.dataclass(frozen=True, slots=True)
class Arguments:
    """The command line. seconds: time limit of the batch system, 0 when nobody knows."""

    facts: Path
    scratch: Path
    back: Path
    job: int
    slice: Path
    sha256: str
    chunksize: int
    attempt: int
    seconds: int
    cpus: int

    @classmethod
    def parse(cls, words: Sequence[str]) -> Arguments:
        """Raises WrongPayload for anything else than what ``job.sh`` gives."""
        try:
            facts, scratch, back, job, name, sha256, *numbers = words
            chunksize, attempt, seconds, cpus = map(int, numbers)
            path = Path(facts).absolute()
            return cls(
                *(path, Path(scratch), Path(back), int(job), path.with_name(name)),
                *(sha256, chunksize, attempt, seconds, cpus),
            )
        except ValueError as error:
            msg = f"The arguments {list(words)} are not those of a job ({error}). Submit the job again."
            raise WrongPayload(msg) from error


class Attempt:
    """One attempt of a job: ``run`` returns its exit code, and never raises."""

    def __init__(self, arguments: Arguments, facts: JobFacts, scratch: Path) -> None:
        self.arguments = arguments
        self.facts = facts
        self.scratch = scratch
        self.processing: SliceRun | SkimMerge | None = None
        self.outputs: list[dict[str, Any]] = []
        self.began = float(os.environ.get(BEGAN) or time.time())
        self.clock = JobClock(self.began, arguments.seconds, facts.margin, facts.grace, self._too_late)
        self._reachable = bool(facts.folder) and Path(facts.folder).is_dir()
        self._direct = False
        self.checkpoints = scratch / CHECKPOINTS / f"job_{arguments.job}"
        self._ending = threading.Lock()

    def run(self) -> int:
        """Do everything."""
        self.clock.start()
        code, reason = 0, ""
        try:
            self._work()
        except BaseException as error:
            code, reason = exit_code_of(error), reason_of(error)
            if self.clock.asked and code != TIME:
                # what fails while everything is being ended fails because of that
                code, reason = TIME, f"{self.clock.asked}; then: {reason}"
            log.exception("%s", reason)
            if code in (PROCESSING, MEMORY):
                sys.stderr.write(traceback.format_exc())
        self.clock.close()
        with self._ending:
            self._finish(code, reason)
        return code

    # -- the steps

    def _work(self) -> None:
        slice_ = self._given()
        parcels = self._merged(slice_) if self.facts.work == "skims" else self._processed(slice_)
        deliver_all(parcels, self.facts, self.arguments.back, self.arguments.job)
        self.outputs = [parcel.about() for parcel in parcels]

    def _merged(self, slice_: Mapping[str, Any]) -> list[Parcel]:
        merge = self.processing = SkimMerge(slice_["filesets"], self.clock, self.scratch)
        return [Parcel.of(file, destination) for file, destination in merge.run()]

    def _processed(self, slice_: Mapping[str, Any]) -> list[Parcel]:
        arguments, facts = self.arguments, self.facts
        config = _configurator(arguments.slice)
        self._take_up(file_folders(config))
        os.environ[READ_SECONDS] = str(facts.read_seconds)
        run = self.processing = SliceRun(
            facts,
            arguments.slice,
            slice_["filesets"],
            config,
            job=arguments.job,
            chunksize=arguments.chunksize,
            cpus=arguments.cpus,
            clock=self.clock,
            scratch=self.scratch,
            checkpoints=self.checkpoints,
        )
        path = run.run()
        checked_output(path, slice_["filesets"])
        waiting = self._waiting(path, run.kept.stage) if run.kept else []
        files = split_by_category(path, arguments.job) if facts.split_by_category else [path]
        parcels = [Parcel.of(file, f"{facts.target.rstrip('/')}/{file.name}") for file in files]
        return [*parcels, *(Parcel.of(file, destination) for file, destination in waiting)]

    def _waiting(self, output: Path, stage: Path) -> list[tuple[Path, str]]:
        """Return (file, destination) of what chunks of all attempts wrote besides the output.

        Raises OutputError when something is missing, and forgets all chunks: the next attempt begins anew.
        """
        found = list(staged(stage))
        gone = [destination for file, destination in found if not file.is_file()]
        gone += missing_skims(output, [destination for _, destination in found])
        if gone:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            msg = (
                f"{count_of(len(gone), 'file')} of completed chunks, {gone[0]} for one, cannot be found in "
                f"{stage} any more. The next attempt processes all chunks again."
            )
            raise OutputError(msg)
        return found

    def _given(self) -> dict[str, Any]:
        """Return the slice. Raises WrongPayload."""
        arguments = self.arguments
        try:
            found = sha256_of(arguments.slice)
            if found != arguments.sha256:
                msg = (
                    f"{arguments.slice} is not what was submitted: its sha256 is {found}, and "
                    f"{arguments.sha256} was submitted."
                )
                raise WrongPayload(msg)
            slice_ = read_slice(arguments.slice)
        except InputFileError as error:
            raise WrongPayload(str(error)) from error
        if slice_["payload_sha256"] != self.facts.payload_sha256:
            msg = f"{arguments.slice} belongs to another configuration than this campaign."
            raise WrongPayload(msg)
        return slice_

    # -- completed chunks

    def _take_up(self, places: Sequence[str]) -> None:
        """Find out where completed chunks are kept, and get those of an earlier attempt.

        In the jobs folder, where it is reachable. On scratch, packed at the end, where it is not; and where
        chunks write files besides, to ``places`` in another file system: there may be no room for them.
        """
        name = f"job_{self.arguments.job}"
        folder = Path(self.facts.folder)
        self._direct = self._reachable and all(is_on_device_of(place, folder) for place in places)
        if self._direct:
            self.checkpoints = Path(self.facts.folder) / CHECKPOINTS / name
        else:
            unpack_folder(self._archive, self.checkpoints)

    @property
    def _archive(self) -> Path:
        """Where completed chunks are packed, and come from."""
        name = checkpoints_name(self.arguments.job)
        if self._reachable:
            return Path(self.facts.folder) / CHECKPOINTS / name
        return self.arguments.back / name

    def _keep_chunks(self, code: int) -> int:
        """Return how many chunks are kept for the next attempt. Raises OSError and OutputError."""
        if code == 0:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            self._archive.unlink(missing_ok=True)
            return 0
        kept = self.processing.kept if self.processing else None
        count = kept.count() if kept else 0
        if count and not self._direct:
            pack_folder(self.checkpoints, self._archive)
        return count

    # -- the end

    def _too_late(self, reason: str) -> None:
        """End the process from another thread: the main one does not come back."""
        if not self._ending.acquire(blocking=False):
            return
        log.error("%s, and the job did not stop by itself", reason)
        self._finish(TIME, reason)
        sys.stderr.flush()
        os._exit(TIME)

    def _finish(self, code: int, reason: str) -> None:
        """Keep what the next attempt needs and write the report."""
        kept = 0
        try:
            kept = self._keep_chunks(code)
        except (OSError, PocketCoffeaError) as error:
            log.warning("completed chunks are lost: %s", error)
        for line in write_report(self._report_places(), self._content(code, reason, kept)):
            log.warning("%s", line)
        log.info("exit code %d%s", code, f": {reason}" if reason else "")

    def _report_places(self) -> list[Path]:
        arguments = self.arguments
        places = []
        if self._reachable:
            name = report_name(arguments.job, arguments.attempt)
            places.append(Path(self.facts.folder) / "logs" / name)
        if not self.facts.folder:
            places.append(arguments.back / returned_report_name(arguments.job))
        return places

    def _content(self, code: int, reason: str, kept: int) -> dict[str, Any]:
        done = self.processing.report if self.processing else RunReport()
        return {
            "job": self.arguments.job,
            "attempt": self.arguments.attempt,
            "campaign": self.facts.campaign,
            "exit_code": code,
            "reason": reason,
            "unreadable": self.processing.replicas.unreadable() if self.processing else [],
            "skipped": [list(each) for each in done.skipped],
            "outputs": self.outputs,
            "events": int(sum(each["events"] for each in done.throughput.values())),
            "seconds": round(sum(each["seconds"] for each in done.throughput.values()), 3),
            "datasets": {
                name: {"events": int(each["events"]), "seconds": round(each["seconds"], 3)}
                for name, each in done.throughput.items()
            },
            **usage(),
            "began": round(self.began, 3),
            "ended": round(time.time(), 3),
            "image": self.facts.image,
            "chunks_kept": kept,
        }


def _configurator(path: Path) -> Any:
    """Return the Configurator of a slice. Raises WrongPayload."""
    try:
        return load_slice(path)
    except InputFileError as error:
        raise WrongPayload(str(error)) from error


def _say(text: str, _level: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def main(words: Sequence[str]) -> int:
    """Run the job of the command line; return its exit code."""
    setup_logging("INFO", _say)
    try:
        arguments = Arguments.parse(words)
        facts = JobFacts.read(arguments.facts)
    except (WrongPayload, InputFileError) as error:
        log.error("%s", error)  # noqa: TRY400  the message says it all
        return WrongPayload.exit_code
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f"job_{arguments.job}_", dir=arguments.scratch))
    except OSError as error:
        log.error("no scratch folder can be made in %s: %s", arguments.scratch, error)  # noqa: TRY400  as above
        return DELIVERY
    try:
        return Attempt(arguments, facts, scratch).run()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
