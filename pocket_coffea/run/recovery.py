"""``run`` with the run option ``recreate-jobs``: jobs of an earlier submission are sent again, and what else
was asked for has no effect on them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocket_coffea.errors import OptionError
from pocket_coffea.run.option_set import USER_ORIGINS, RunOptions

__all__ = ["refuse_recovery_options", "send_again"]

log = logging.getLogger(__name__)

#: Options that say how jobs are sent again.
_RECOVERY = ("remove-running", "recreate-queue", "blocklist-sites", "use-redirector")
#: All that is read when they are.
_READ = frozenset({*_RECOVERY, "recreate-jobs", "skip-bad-files", "job-name", "jobs-dir", "dry-run"})


def refuse_recovery_options(options: RunOptions) -> None:
    """Raise OptionError for options of jobs that are sent again: without ``recreate-jobs`` there are none.

    Those of a file, which may serve many commands, are warned about.
    """
    given = [
        name for name in _RECOVERY if options.get(name) and options.origin(name).startswith(USER_ORIGINS)
    ]
    if not given:
        return
    where = ", ".join(dict.fromkeys(options.origin(name) for name in given))
    typed = any(options.origin(name).startswith("command line") for name in given)
    msg = (
        f"{where}: {', '.join(given)} concerns jobs that are sent again; "
        + ("add --recreate-jobs=auto or a list of jobs, or leave it out. " if typed else "it has no effect. ")
        + "Which sites a first submission reads from is said to `pocket-coffea build-datasets`, its queue by "
        "the run option queue."
    )
    if typed:
        raise OptionError(msg)
    log.warning("%s", msg)


def send_again(options: RunOptions, folder: Path, unused: Mapping[str, Any]) -> None:
    """Send jobs of ``folder`` again, and say which options of the command line do nothing for them.

    unused: flags of the command that have no effect here, with their values. Raises as
    :func:`pocket_coffea.executors.jobs.recreate.recreate`.
    """
    from pocket_coffea.executors.jobs.recreate import recreate

    words = [f"--{name.replace('_', '-')}" for name, value in unused.items() if value]
    words += [
        f"--{name}"
        for name in options
        if name not in _READ and options.origin(name).startswith("command line")
    ]
    if words:
        log.warning(
            "No effect on jobs that are sent again: %s. Their queue is changed by --recreate-queue",
            ", ".join(words),
        )
    recreate(Path(options.get("jobs-dir") or folder), options.as_dict(), options.executor)
