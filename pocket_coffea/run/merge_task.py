"""One merge: read the inputs, add them up, check what they contain together, write the result."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocket_coffea.errors import InputFileError, NothingToDo, ResultsRefused, UnknownName, did_you_mean
from pocket_coffea.run.merge_config import Configurations
from pocket_coffea.run.merge_jobs import JobsFolder
from pocket_coffea.run.merge_ledger import Gap, LedgerBook, PlannedFiles
from pocket_coffea.run.merge_provenance import ProvenanceBook, limits_of
from pocket_coffea.run.merge_read import MemoryLimit, read_output, read_outputs
from pocket_coffea.run.merge_source import Source
from pocket_coffea.run.merge_sum import OutputSum, with_sorted_sets
from pocket_coffea.run.outputs import OutputFolder
from pocket_coffea.run.skims import SkimDefinition
from pocket_coffea.utils.filter_output import get_datasets_in_output, remove_datasets_from_output
from pocket_coffea.utils.output_file import save_output
from pocket_coffea.utils.wording import count_of

if TYPE_CHECKING:
    from pocket_coffea.run.merge import MergeReport, MergeRequest

__all__ = ["MergeTask"]

log = logging.getLogger(__name__)

#: How many problems a message lists.
SHOWN = 20
#: Seconds between two lines about the progress.
NEWS_EVERY = 5.0


class MergeTask:
    """Merges some outputs into one file, and adds what is missing to ``report``.

    ``skim_folder``: where the definition of skimmed datasets goes, if they are skims.
    """

    def __init__(
        self,
        request: MergeRequest,
        configurations: Configurations | None,
        report: MergeReport,
        limit: MemoryLimit,
        *,
        jobs: JobsFolder | None = None,
    ) -> None:
        self.request = request
        self.configurations = configurations
        self.report = report
        self.limit = limit
        self.jobs = jobs
        self.skim_folder: Path | None = None
        self.book = LedgerBook()
        self.provenance = ProvenanceBook(
            request.allow_mixed, configurations.identities if configurations else ()
        )
        self.sum = OutputSum()
        self.limited: set[str] = set()
        self.owners: dict[str, str] = {}
        self._described: list[Source] = []
        self._undescribed: list[Source] = []

    def run(
        self, inputs: Sequence[Source], target: Path, base: Source | None = None
    ) -> SkimDefinition | None:
        """Merge the inputs, in order, into ``target``. With ``base`` they replace datasets of that file.

        Returns the definition of skimmed datasets, if they are skims; the caller writes it.
        """
        self._read(inputs)
        if base is not None:
            self._replace(base)
        if not self._described and not self._undescribed:
            reasons = _lines(self.report.left_out.values())
            msg = f"There is nothing to merge: no input is left.{reasons}"
            raise NothingToDo(msg)
        output = self.sum.result()
        self._check_ledgers(output)
        if self._described:
            output["provenance"] = self.provenance.united()
        if self._described and not self._undescribed:
            output["ledger"] = self.book.united()
        output = self._postprocessed(output)
        skims = self._skims(output)
        save_output(with_sorted_sets(output), target)
        self.report.n_inputs += len(self._described) + len(self._undescribed)
        return skims

    # -- reading and adding

    def _read(self, inputs: Sequence[Source]) -> None:
        news = time.monotonic()
        outputs = read_outputs(inputs, self.request.reduction, self.request.cache_dir)
        for count in range(len(inputs)):
            self._take(*next(outputs))  # a variable would keep it while the next one is read
            self.limit.check()
            if time.monotonic() - news > NEWS_EVERY:
                news = time.monotonic()
                log.info("%d of %d outputs merged", count + 1, len(inputs))

    def _take(self, path: Source, output: dict[str, Any] | InputFileError) -> None:
        if isinstance(output, InputFileError):
            self.report.left_out[str(path)] = str(output)
            return
        self._note(path, output)
        self.sum.add(output, str(path))

    def _note(self, path: Source, output: dict[str, Any]) -> None:
        """Take the ledger and the provenance of an output."""
        if "ledger" not in output:
            self._no_ledger(path)
            return
        self._described.append(path)
        self.book.add(output["ledger"], str(path))
        provenance = output.get("provenance", {})
        self.limited.update(limits_of(provenance))
        self.provenance.add(provenance, str(path))

    def _no_ledger(self, path: Source) -> None:
        if not self.request.skip_check:
            msg = (
                f"{path} has no ledger: nobody can tell whether its events are in another input, too, or "
                "whether some are missing. It may be of an older version; --skip-check merges it as it is."
            )
            raise ResultsRefused(msg)
        self._undescribed.append(path)
        log.warning("%s has no ledger: what is in it is not checked", path)

    def _replace(self, path: Source) -> None:
        """Put the datasets of ``path`` that no other input has in front of the sum."""
        base = read_output(path, self.request.cache_dir)
        later = self.sum.result()
        ours = set(get_datasets_in_output(later))
        replaced = [dataset for dataset in get_datasets_in_output(base) if dataset in ours]
        if not replaced:
            log.warning("--replace: the other files have no dataset of %s; they are added", path)
        if "ledger" in base:
            kept = {name: files for name, files in base["ledger"].items() if name not in replaced}
            base = {**base, "ledger": kept}
        self._note(path, base)
        self.sum = OutputSum()
        self.sum.add(remove_datasets_from_output(base, replaced), str(path))
        self.sum.add(later, "what replaces it")
        self.report.replaced = replaced

    # -- checking

    def _planned(self, output: dict[str, Any]) -> PlannedFiles | None:
        if self.jobs is not None:
            return self.jobs.planned
        if self.configurations is None:
            return None
        present = set(output.get("cutflow", {}).get("initial", {}))
        planned = self.configurations.planned
        absent = [dataset for dataset in planned if dataset not in present]
        if absent:
            log.warning("No input has these datasets of the configuration: %s", ", ".join(absent))
        return {dataset: files for dataset, files in planned.items() if dataset in present}

    def _check_ledgers(self, output: dict[str, Any]) -> None:
        """Refuse what would lose or double events; with --skip-check what is missing is reported only."""
        self.book.planned = None if self._undescribed else self._planned(output)
        overlaps = self.book.overlaps()
        if overlaps:
            msg = f"Events would be counted twice:{_lines(overlaps)}\nTake each part from one input only."
            raise ResultsRefused(msg)
        if not self.request.skip_check:
            self._refuse_strangers()
        self._check_gaps()
        self.report.skipped = self.book.skipped()

    def _refuse_strangers(self) -> None:
        if self.report.left_out and self.request.mark_failed:
            self._mark(self.owners[path] for path in self.report.left_out if path in self.owners)
        if self.report.left_out:
            lines = _lines(self.report.left_out.values())
            number = len(self.report.left_out)
            msg = f"Some inputs cannot be read ({number}). --skip-check leaves them out.{lines}"
            raise ResultsRefused(msg)
        strangers = self.book.unplanned()
        if strangers:
            lines = _lines(f"{dataset}: {file} (in {name})" for dataset, file, name in strangers)
            msg = (
                f"The inputs have events that the configuration does not ask for; are they of another run? "
                f"--skip-check takes them all the same.{lines}"
            )
            raise ResultsRefused(msg)

    def _check_gaps(self) -> None:
        gaps = self.book.gaps()
        if gaps and self.limited and self.jobs is None:
            options = " and ".join(sorted(self.limited))
            parts = count_of(len(gaps), "part of a file is", "parts of files are")
            log.warning("The runs were limited by %s: %s not there.", options, parts)
            return
        if gaps and not self.request.skip_check:
            if self.request.mark_failed and self.jobs is not None:
                self._mark(_jobs_with(self.jobs, gaps))
            msg = (
                f"Events are missing ({count_of(len(gaps), 'part of a file', 'parts of files')}). Process "
                f"them first, or merge what is there with --skip-check.{_lines(gaps)}"
            )
            raise ResultsRefused(msg)
        self.report.gaps = gaps

    def _mark(self, names: Iterable[str]) -> None:
        assert self.jobs is not None
        marked = self.jobs.mark_failed(names)
        log.warning("Marked as failed: %s", ", ".join(marked))

    # -- finishing

    def _postprocessed(self, output: dict[str, Any]) -> dict[str, Any]:
        if self.configurations is not None:
            return self.configurations.postprocess(output)
        if self.sum.raw and self.sum.normalised:
            msg = (
                f"Some datasets are postprocessed ({', '.join(self.sum.normalised[:5])}), others are not "
                f"({', '.join(self.sum.raw[:5])}): their histograms could not be compared. Give the "
                "configuration with -cfg, so that all of them are."
            )
            raise ResultsRefused(msg)
        if self.sum.raw:
            log.warning("The result is not postprocessed: give the configuration with -cfg to normalise it.")
        return output

    def _skims(self, output: dict[str, Any]) -> SkimDefinition | None:
        """Return the definition of skimmed datasets, checked but not written yet."""
        tolerated = self.request.skip_initial_events_check
        datasets = get_datasets_in_output(output) if "cutflow" in output else []
        for dataset in tolerated:
            if dataset not in datasets:
                msg = f"--skip-initial-events-check {dataset}: {did_you_mean(dataset, datasets)}"
                raise UnknownName(msg)
        if self.skim_folder is None or "skimmed_files" not in output:
            return None
        skims = SkimDefinition(OutputFolder(self.skim_folder), check_initial_events=not self.limited)
        skims.add(output, tolerated=tolerated)
        return skims


def _jobs_with(jobs: JobsFolder, gaps: Iterable[Gap]) -> list[str]:
    holes = {(gap.dataset, gap.filename) for gap in gaps}
    return [
        name
        for name, job in jobs.jobs.items()
        if any((dataset, file) in holes for dataset, files in job.planned.items() for file in files)
    ]


def _lines(items: Iterable[Any]) -> str:
    shown = [str(item) for item in items]
    more = [f"... and {len(shown) - SHOWN} more"] if len(shown) > SHOWN else []
    return "".join(f"\n  {line}" for line in shown[:SHOWN] + more)
