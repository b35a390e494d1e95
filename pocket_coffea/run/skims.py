"""The dataset definition of a skimming run, over all its datasets."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pocket_coffea.run.outputs import SKIM_DEFINITION, OutputFolder
from pocket_coffea.utils.atomic import write_whole

__all__ = ["SkimDefinition"]

log = logging.getLogger(__name__)


class SkimDefinition:
    """Collects the entries of ``skimmed_dataset_definition.json`` group by group.

    Entries of an earlier run stay if their dataset belongs to this configuration and is not processed again.
    """

    def __init__(self, folder: OutputFolder, *, check_initial_events: bool) -> None:
        self.folder = folder
        self.check_initial_events = check_initial_events
        self._entries: dict[str, Any] = {}
        self._processed: set[str] = set()

    def add(self, output: dict[str, Any], tolerated: Collection[str] = ()) -> None:
        """Add the datasets of a postprocessed output; does nothing for an output without skimmed files.

        That of a job, which is postprocessed when it is merged, has no definition of its own.
        """
        from pocket_coffea.utils.skim import save_skimed_dataset_definition

        if "skimmed_files" not in output:
            return
        if not output.get("datasets_metadata"):
            log.info("The output is not postprocessed: merge-outputs writes the definition of the skims.")
            return
        self._processed.update(output.get("cutflow", {}).get("initial", {}))
        part = self.folder.path / f".{SKIM_DEFINITION}.group"
        try:
            save_skimed_dataset_definition(
                output,
                part,
                check_initial_events=self.check_initial_events,
                skip_initial_events_check_datasets=list(tolerated),
            )
            self._entries.update(json.loads(part.read_text(encoding="utf-8")))
        finally:
            part.unlink(missing_ok=True)

    def write(self, datasets: Collection[str]) -> Path | None:
        """Write the definition; ``datasets`` are those of the configuration. None when there was nothing
        to write.
        """
        if not self._processed:
            return None
        path = self.folder.path / SKIM_DEFINITION
        before: dict[str, Any] = {}
        if path.is_file():
            try:
                before = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                log.warning("%s was damaged and is written anew", path)
        kept = {
            name: entry for name, entry in before.items() if name in datasets and name not in self._processed
        }
        entries = {**kept, **self._entries}
        ordered = {name: entries[name] for name in datasets if name in entries}
        write_whole(path, json.dumps(ordered, indent=2) + "\n")
        return path
