"""Where a merge writes its results: files of this machine, or files on an XRootD server.

All results of a merge appear together, or none does. Those for a server are made on this machine, copied
under a temporary name, compared by checksum, and renamed, as jobs bring their outputs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pocket_coffea.errors import OptionError, OutputError, ResultsRefused
from pocket_coffea.run.job_delivery import Parcel, deliver_to_servers
from pocket_coffea.run.merge_source import RemoteOutput, Source, local_place, output_at, size_of
from pocket_coffea.run.split import named

__all__ = ["check_targets", "folder_of", "target_at", "whole_results", "with_ending"]


def target_at(output: object) -> Source:
    """Return where a result goes. Raises OptionError for an address that is not one of a file on a server."""
    target = output_at(Path(), output)
    if isinstance(target, RemoteOutput) and not target.name:
        msg = f"-o {target}: it has no name of a file. Add one, such as {target}output_merged.coffea."
        raise OptionError(msg)
    return target


def with_ending(target: Source, ending: str) -> Source:
    """Return the target with ``ending`` before the end of its name that says the format."""
    return target.with_name(named(Path(target.name), ending).name)


def folder_of(target: Source) -> Path:
    """Return the folder of this machine for what is written beside a target: where it is, or the current
    one for a target on a server."""
    return Path() if isinstance(target, RemoteOutput) else target.parent


def check_targets(targets: Sequence[Source], inputs: Sequence[Source], *, force: bool) -> None:
    """Raise ResultsRefused for a target that is an input, or is there without ``force``.

    Raises OptionError when the server of a target does not tell.
    """
    given = {path.resolve() for path in inputs}
    for target in targets:
        if target.resolve() in given:
            msg = f"{target} is one of the inputs, too: choose another -o, or take it off the inputs."
            raise ResultsRefused(msg)
        if _is_there(target) and not force:
            msg = f"{target} already exists. Use -f to overwrite it."
            raise ResultsRefused(msg)


def _is_there(target: Source) -> bool:
    if isinstance(target, Path):
        return target.exists()
    try:
        size_of(target)
    except FileNotFoundError:
        return False
    except OSError as error:
        msg = f"-o {target} cannot be looked at, so nothing could be written there: {error.strerror or error}"
        raise OptionError(msg) from error
    return True


@contextlib.contextmanager
def whole_results(cache_dir: str | os.PathLike[str] | None) -> Iterator[Callable[[Source], Path]]:
    """Give ``place(target)``: the file that becomes ``target`` when the block ends without an error.

    cache_dir: where files for servers are made; None for the folder of temporary files. Raises OutputError
    when a result cannot be brought to its place; no result on a server appears then.
    """
    here: list[tuple[Path, Path]] = []
    away: list[tuple[Path, RemoteOutput]] = []
    with contextlib.ExitStack() as stack:

        def place(target: Source) -> Path:
            if isinstance(target, RemoteOutput):
                folder = stack.enter_context(_result_folder(target, cache_dir))
                away.append((folder / target.name, target))
                return away[-1][0]
            here.append((target.with_name(f".merging-{os.getpid()}.{target.name}"), target))
            stack.callback(here[-1][0].unlink, missing_ok=True)
            return here[-1][0]

        yield place
        deliver_to_servers([Parcel.of(part, target.address) for part, target in away])
        for part, path in here:
            part.replace(path)


@contextlib.contextmanager
def _result_folder(target: RemoteOutput, cache_dir: str | os.PathLike[str] | None) -> Iterator[Path]:
    try:
        place = local_place(cache_dir)
    except OSError as error:
        msg = (
            f"There is no place to make {target} in {cache_dir or 'the folder of temporary files'}: {error}."
        )
        raise OutputError(msg) from error
    with place as name:
        yield Path(name)
