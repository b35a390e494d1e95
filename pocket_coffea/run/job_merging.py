"""What a job of ``hadd-skimmed-files`` does: it merges the files of its slice on scratch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocket_coffea.datasets.skim_merge import write_merged
from pocket_coffea.datasets.tree_merge import unreadable_input
from pocket_coffea.errors import InputFileError, ProcessingError
from pocket_coffea.executors.jobs.merge_plan import MergeOrder
from pocket_coffea.run.job_clock import JobClock
from pocket_coffea.run.job_reading import Replicas
from pocket_coffea.run.summary import RunReport

__all__ = ["SkimMerge"]


@dataclass
class SkimMerge:
    """Merges the files of a slice. ``report`` gets how many events, and how long it took."""

    filesets: Mapping[str, Any]
    clock: JobClock
    scratch: Path
    report: RunReport = field(default_factory=RunReport)
    #: Nothing of a merge that was ended is kept.
    kept: None = None

    @property
    def replicas(self) -> Replicas:
        """What could not be read."""
        return Replicas({}, self.scratch / "unreadable.txt")

    def run(self) -> Iterator[tuple[Path, str]]:
        """Yield each merged file, on scratch, and where it goes.

        Raises TimeUp, InputFileError for an input that cannot be read, ProcessingError for inputs that do not
        go together, ResultsRefused when they have another number of events than planned, OutputError.
        """
        for dataset, fileset in self.filesets.items():
            order = MergeOrder.of(fileset)
            local = self.scratch / Path(order.output).name
            began = time.monotonic()
            self._merge(order, local)
            numbers = {"events": order.nevents, "chunks": 1, "seconds": time.monotonic() - began}
            self.report.add_throughput({dataset: numbers})
            yield local, order.output

    def _merge(self, order: MergeOrder, local: Path) -> None:
        try:
            write_merged(order.inputs, local, order.nevents, order.digest, self.clock.check)
        except InputFileError as error:
            address = unreadable_input(error, order.inputs)
            if not address:
                raise ProcessingError(str(error)) from error  # no other replica would be better
            self.replicas.note(address)
            raise
