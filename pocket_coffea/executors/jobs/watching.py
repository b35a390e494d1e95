"""One campaign of jobs under watch, for ``check-jobs`` and ``run --recreate-jobs``: the same engine for both.

Who only looks writes nothing. Who acts holds the campaign's lock, and may be killed at any moment.
"""

from __future__ import annotations

import dataclasses
import getpass
import logging
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pocket_coffea.batch.decide import Policy, Queue
from pocket_coffea.batch.lock import LOCK_NAME, Lock, Owner
from pocket_coffea.batch.monitor import Monitor, News, Poll
from pocket_coffea.batch.states import State
from pocket_coffea.errors import ConfigurationError, OptionError, OutputError
from pocket_coffea.executors.jobs.options_file import skip_bad_files
from pocket_coffea.executors.jobs.overview import Overview, Rows, overview
from pocket_coffea.executors.jobs.owner import Opened, open_campaign
from pocket_coffea.executors.jobs.proxy_copy import renew_proxy
from pocket_coffea.executors.jobs.queues import AUTO, fitting_queues
from pocket_coffea.executors.jobs.record import RECORD_NAME, CampaignRecord
from pocket_coffea.utils.wording import count_of

__all__ = ["Watching", "Wishes", "find_jobs_folder", "parse_jobs"]

log = logging.getLogger(__name__)

#: Seconds between two looks at whether the user's proxy is a newer one.
_PROXY_EVERY = 30.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user wants of a campaign; names as the options of ``check-jobs``."""

    resubmit: bool = False
    max_resubmit: int = 4
    blacklist_threshold: int = 3
    queue_shift: int = 1
    recreate_queue: str = ""
    use_redirector: bool = False
    blocklist_sites: tuple[str, ...] = ()
    remove_running: bool = False
    skip_bad_files: bool = False
    backoff: float = 60.0  # seconds before a second try of what time may heal

    def __post_init__(self) -> None:
        for site in self.blocklist_sites:
            if "://" in site or "/" in site:
                msg = (
                    f"--blocklist-sites {site!r}: give the names of sites or their hosts (T2_US_FNAL, "
                    "xrootd.site.edu), not addresses."
                )
                raise OptionError(msg)
        if self.use_redirector and self.blocklist_sites:
            log.warning(
                "--use-redirector wins over --blocklist-sites %s: every file goes through the redirector",
                ",".join(self.blocklist_sites),
            )

    def policy(self, record: CampaignRecord) -> Policy:
        """Return what the batch room may do with the jobs of a campaign.

        Raises OptionError for ``recreate_queue`` "auto" where no queue can be chosen.
        """
        ladder = tuple(Queue(rung.name, rung.seconds) for rung in record.ladder)
        names = [queue.name for queue in ladder]
        is_auto = self.recreate_queue == AUTO
        if self.recreate_queue and not is_auto and self.recreate_queue not in names:
            log.warning(
                "the queue %r is written as it is; %s knows: %s",
                self.recreate_queue,
                record.site,
                ", ".join(names) or "none",
            )
        return Policy(
            max_resubmit=self.max_resubmit,
            blacklist_threshold=self.blacklist_threshold,
            queue_shift=self.queue_shift,
            ladder=ladder,
            queue="" if is_auto else self.recreate_queue,
            fitting=fitting_queues(record) if is_auto else {},
            use_redirector=self.use_redirector,
            blocked_sites=frozenset() if self.use_redirector else frozenset(self.blocklist_sites),
            owner=f"{getpass.getuser()},{os.getuid()}",
            backoff=self.backoff,
        )


class Watching:
    """``with Watching(folder, wishes, acting=True) as watching: watching.look()``.

    ``acting`` takes the lock: ResultsRefused names its owner when another monitor has it.
    """

    def __init__(self, folder: Path, wishes: Wishes | None = None, *, acting: bool) -> None:
        """Nothing is read yet."""
        self.folder = folder
        self.wishes = wishes or Wishes()
        self.acting = acting
        self._lock = Lock(folder) if acting else None
        self._renewed = 0.0
        self._rows: Rows | None = None
        self._may_have_lost = False  # lines of the batch system's logs, on a disk that was full
        self._open: Opened | None = None
        self._monitor: Monitor | None = None

    def __enter__(self) -> Self:
        if self._lock:
            self._lock.acquire()
        try:
            self._start(self.acting)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self, acting: bool) -> Monitor:
        self._close()
        blocked = () if self.wishes.use_redirector else self.wishes.blocklist_sites
        opened = open_campaign(self.folder, acting=acting, blocked=blocked)
        self._open = opened
        monitor = Monitor(
            opened.campaign,
            opened.system,
            opened.slices,
            self.wishes.policy(opened.record),
            acting=acting and self.wishes.resubmit,
        )
        self._monitor = monitor
        return monitor

    def _close(self) -> None:
        if self._open:
            self._open.campaign.close()
        self._open = self._monitor = None

    def _stop(self) -> None:
        self._close()
        if self._lock:
            self._lock.release()

    @property
    def opened(self) -> Opened:
        """The campaign. It is another object after the disk was full."""
        if self._open is None:
            msg = "the campaign is not open"
            raise RuntimeError(msg)
        return self._open

    @property
    def monitor(self) -> Monitor:
        """The engine, which is another one after the disk was full."""
        if self._monitor is None:
            msg = "the campaign is not open"
            raise RuntimeError(msg)
        return self._monitor

    def look(self) -> Overview:
        """Look once at all jobs and, with ``resubmit``, do what is to be done.

        A disk on which nothing can be written is said in the news; the ledger is read again then, so that
        nothing is thought to be done that is not written down. Raises ResultsRefused, ConfigurationError.
        """
        try:
            news = self._renew_proxy() if self.monitor.acting else ()
            poll = self.monitor.poll(ask_all=self._may_have_lost)
        except OutputError as error:
            self._may_have_lost = True
            return self._look_without_hands(error)
        self._may_have_lost = False
        return self._overview(dataclasses.replace(poll, news=(*news, *poll.news)))

    def recreate(self, jobs: Sequence[int] | None) -> Overview:
        """Send jobs again: those named, or (None) all that are neither done nor in the queue.

        Raises UnknownName for what is no job, ResultsRefused for jobs in the queue without
        ``remove_running``, NothingToDo when none is left, OutputError.
        """
        if not self.acting:
            msg = "jobs are sent again by who holds the lock of the campaign"
            raise RuntimeError(msg)
        if self.wishes.skip_bad_files:
            skip_bad_files(self.folder)
        self.monitor.acting = True  # for once, also without ``resubmit``
        try:
            news = self._renew_proxy()
            poll = self.monitor.recreate(jobs, remove_running=self.wishes.remove_running)
        finally:
            self.monitor.acting = self.wishes.resubmit
        return self._overview(dataclasses.replace(poll, news=(*news, *poll.news)))

    def _look_without_hands(self, error: OutputError) -> Overview:
        """Look and write nothing; then forget all that is not in the ledger."""
        poll = self._start(acting=False).poll()
        said = News(None, f"nothing can be written, so nothing is done: {error}")
        seen = self._overview(dataclasses.replace(poll, news=(said, *poll.news)))
        self._start(self.acting)
        return seen

    def _renew_proxy(self) -> tuple[News, ...]:
        """Put a newer proxy of the user where further attempts take it from."""
        now = time.monotonic()
        if self._renewed and now - self._renewed < _PROXY_EVERY:
            return ()
        self._renewed = now
        said = renew_proxy(self.opened.record)
        return (News(None, said),) if said else ()

    def _overview(self, poll: Poll) -> Overview:
        opened, is_first = self.opened, self._rows is None
        self._rows = self._rows or Rows(opened.record)
        seen = overview(opened.record, opened.campaign, poll, self._rows, elsewhere=self.other_monitor())
        if not is_first or self.acting or seen.elsewhere:
            return seen
        return dataclasses.replace(seen, news=(*seen.news, *_never_sent(seen)))

    def other_monitor(self) -> str:
        """Return who else watches and acts on this campaign; empty when nobody does."""
        if self.acting:
            return ""
        try:
            owner = Owner.from_text((self.folder / LOCK_NAME).read_text())
        except OSError:
            return ""
        return str(owner) if owner and (owner.is_elsewhere or owner.lives) else ""


def _never_sent(seen: Overview) -> tuple[News, ...]:
    """Return that jobs wait for nothing: who only looks would wait with them."""
    number = sum(row.state == State.IDLE and not row.attempts for row in seen.jobs)
    if not number:
        return ()
    return (
        News(None, f"{count_of(number, 'job was', 'jobs were')} never submitted: --resubmit submits them"),
    )


def find_jobs_folder(path: Path) -> Path:
    """Return the jobs folder: ``path`` itself, ``path/job``, or the only folder in it with a campaign.

    Raises ConfigurationError when there is none, or several.
    """
    if not path.is_dir():
        msg = f"There is no folder {path}. Give the jobs folder: <jobs-dir or output folder>/<job-name>."
        raise ConfigurationError(msg)
    for folder in (path, path / "job"):
        if (folder / RECORD_NAME).is_file():
            return folder
    found = sorted(each.parent for each in path.glob(f"*/{RECORD_NAME}"))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(folder.name for folder in found)
        msg = f"{path} holds several jobs folders: {names}. Give one of them, e.g. -j {found[0]}"
        raise ConfigurationError(msg)
    msg = f"{path} is no jobs folder that was prepared to the end ({RECORD_NAME} is missing)."
    if (path / "jobs_config.yaml").is_file():
        msg += " Its jobs were prepared by another version: end them with that one."
    raise ConfigurationError(msg)


def parse_jobs(names: str | Iterable[str]) -> tuple[int, ...] | None:
    """Return the numbers of jobs in ``0,1,3`` or ``job_0,job_3`` or ``4-7``; None for ``auto``.

    Raises OptionError for anything else.
    """
    words = names.split(",") if isinstance(names, str) else [str(name) for name in names]
    words = [word.strip() for word in words if word.strip()]
    if words == ["auto"]:
        return None
    numbers: list[int] = []
    for word in words:
        first, dash, last = word.removeprefix("job_").partition("-")
        last = last.removeprefix("job_") if dash else first
        if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
            msg = f"jobs {word!r}: give auto, or numbers of jobs (0,1,3 or job_0,job_3 or 4-7)."
            raise OptionError(msg)
        numbers += range(int(first), int(last) + 1)
    if not numbers:
        msg = "no job is named: give auto, or numbers of jobs (0,1,3 or job_0,job_3 or 4-7)."
        raise OptionError(msg)
    return tuple(dict.fromkeys(numbers))
