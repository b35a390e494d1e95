"""What a report is about: an output, the jobs folder of a campaign, or both, found from one path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from pocket_coffea.batch.campaign import LEDGER_NAME
from pocket_coffea.errors import InputFileError
from pocket_coffea.executors.jobs.record import RECORD_NAME, CampaignRecord

__all__ = ["Source", "find_source"]

#: In this order: what is merged stands for its parts.
_WHOLE = ("output_merged.coffea", "output_merged.coffea.zip", "output_all.coffea", "output_all.coffea.zip")
_SHOWN = 8


@dataclass(frozen=True)
class Source:
    """The output and the jobs folder, either of which may be None, but not both."""

    output: Path | None
    jobs: Path | None

    @property
    def folder(self) -> Path:
        """Where a report is written by default."""
        if self.output is not None:
            return self.output.parent
        assert self.jobs is not None
        return self.jobs


def find_source(path: Path) -> Source:
    """Return the output and the campaign that ``path`` stands for: a file, an output folder, a jobs folder.

    Raises InputFileError when there is neither, or when several outputs could be meant.
    """
    if not path.exists():
        msg = f"{path} does not exist. Give an output (.coffea, .coffea.zip), its folder, or a jobs folder."
        raise InputFileError(msg)
    if not path.is_dir():
        return Source(path, _jobs_below(path.parent))
    if (path / LEDGER_NAME).exists():
        return Source(_merged_of(path), path)
    output, jobs = _whole_output(path), _jobs_below(path)
    if output is None and jobs is None:
        others = sorted(
            each.name for each in [*path.glob("output_*.coffea"), *path.glob("output_*.coffea.zip")]
        )
        raise InputFileError(_which(path, others))
    return Source(output, jobs)


def _which(folder: Path, outputs: list[str]) -> str:
    if not outputs:
        return (
            f"{folder} has no output (output_*.coffea) and no campaign ({LEDGER_NAME}). Give the folder of a "
            "run, an output, or a jobs folder."
        )
    shown = ", ".join(outputs[:_SHOWN]) + (", ..." if len(outputs) > _SHOWN else "")
    place = quote(str(folder))
    return (
        f"{folder} has {len(outputs)} outputs that are parts: {shown}. Give one, or merge them first: "
        f"pocket-coffea merge-outputs {place}/output_*.coffea -o {place}/output_merged.coffea"
    )


def _whole_output(folder: Path) -> Path | None:
    found: Iterable[Path] = (folder / name for name in _WHOLE if (folder / name).is_file())
    whole = next(iter(found), None)
    if whole is not None:
        return whole
    single = [*folder.glob("output_*.coffea"), *folder.glob("output_*.coffea.zip")]
    return single[0] if len(single) == 1 else None


def _merged_of(jobs: Path) -> Path | None:
    """Return the merged output of a campaign: where its outputs go, or in the folder above its own."""
    places = [jobs.parent]
    if (jobs / RECORD_NAME).exists():
        local = CampaignRecord.read(jobs).outdir_local
        places = [Path(local), *places] if local else places
    merged = (folder / name for folder in places for name in _WHOLE)
    return next((each for each in merged if each.is_file()), None)


def _jobs_below(folder: Path) -> Path | None:
    """Return the one campaign in a folder or directly below it; of several that in ``job``, if it is there,
    since others have other names (``hadd``); else None."""
    found = [each.parent for each in (*folder.glob(LEDGER_NAME), *folder.glob(f"*/{LEDGER_NAME}"))]
    usual = [each for each in found if each == folder / "job"]
    return next(iter(usual or found)) if len(usual or found) == 1 else None
