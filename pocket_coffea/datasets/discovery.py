"""Find datasets by pattern, see what they have and where, and write them into a definition."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocket_coffea.datasets.build import FileSource
from pocket_coffea.datasets.definition import GLOBAL_INSTANCE, read_definition
from pocket_coffea.datasets.select import SiteRules
from pocket_coffea.datasets.write import read_json
from pocket_coffea.errors import ConfigurationError, OptionError, ResultsRefused
from pocket_coffea.utils.atomic import write_whole

__all__ = ["Description", "Selection", "describe", "guess_key", "guess_metadata", "pick", "save_definition"]

#: What names the campaign of simulation -> year of the analysis; the first that matches counts.
_CAMPAIGNS = (
    (r"UL16.*APV|preVFP", "2016_PreVFP"),
    (r"UL16", "2016_PostVFP"),
    (r"UL17", "2017"),
    (r"UL18", "2018"),
    (r"Summer22EE", "2022_postEE"),
    (r"Summer22", "2022_preEE"),
    (r"Summer23BPix", "2023_postBPix"),
    (r"Summer23", "2023_preBPix"),
    (r"RunIII2024|Summer24", "2024"),
)
#: Period of data: (year, eras) -> year of the analysis; None: all that are left.
_PERIODS = (
    ("2022", "CD", "2022_preEE"),
    ("2022", None, "2022_postEE"),
    ("2023", "BC", "2023_preBPix"),
    ("2023", None, "2023_postBPix"),
)


@dataclass(frozen=True)
class Description:
    """A dataset: number of files and events (None: not known), size [bytes], and for each site on disk how
    many of the files it has; ``unreachable``: files without a replica at the sites that may be used."""

    name: str
    files: int
    events: int | None
    size: int
    sites: Mapping[str, int]
    unreachable: int


@dataclass(frozen=True)
class Selection:
    """A dataset that was chosen, with the metadata that its entry gets."""

    name: str
    metadata: Mapping[str, Any]
    instance: str = GLOBAL_INSTANCE


def describe(
    catalogue: FileSource, name: str, rules: SiteRules, instance: str = GLOBAL_INSTANCE
) -> Description:
    """Look a dataset up. Raises CatalogueError."""
    files = catalogue.files(name, instance)
    sites = Counter(replica.site for file in files for replica in file.replicas)
    events = [file.nevents for file in files]
    return Description(
        name,
        len(files),
        None if None in events else sum(n or 0 for n in events),
        sum(file.size or 0 for file in files),
        dict(sorted(sites.items(), key=lambda item: (-item[1], item[0]))),
        sum(not rules.ordered(file) for file in files),
    )


def pick(found: Sequence[str], choice: str) -> list[str]:
    """Return the names that a choice means: "all", numbers from 1, ranges and names, separated by commas or
    spaces. Raises OptionError.

    >>> pick(["/A/b/C", "/D/e/F", "/G/h/I"], "1 3-3")
    ['/A/b/C', '/G/h/I']
    """
    chosen: list[str] = []
    for word in choice.replace(",", " ").split():
        numbers = re.fullmatch(r"(\d+)(?:-(\d+))?", word)
        if word == "all":
            chosen.extend(found)
        elif word in found:
            chosen.append(word)
        elif numbers and 1 <= int(numbers[1]) <= int(numbers[2] or numbers[1]) <= len(found):
            chosen.extend(found[int(numbers[1]) - 1 : int(numbers[2] or numbers[1])])
        else:
            msg = f"{word!r} is none of the datasets that were found. Allowed: all, 1 to {len(found)}, names."
            raise OptionError(msg)
    return list(dict.fromkeys(chosen))


def guess_metadata(name: str) -> dict[str, Any]:
    """Return what the name of a dataset tells: isMC, year, and of data era and primaryDataset.

    >>> guess_metadata("/SingleMuon/Run2018C-UL2018_MiniAODv2_NanoAODv9-v2/NANOAOD")["era"]
    'C'
    """
    _, primary, processed, tier = name.split("/")
    if tier.endswith("SIM"):
        years = [year for pattern, year in _CAMPAIGNS if re.search(pattern, processed)]
        return {"isMC": True, **({"year": years[0]} if years else {})}
    run = re.match(r"Run(20\d\d)([A-Z])", processed)
    guess: dict[str, Any] = {"isMC": False, "primaryDataset": primary}
    if run:
        guess |= {"year": _data_year(run[1], run[2], processed), "era": run[2]}
    return guess


def _data_year(year: str, era: str, processed: str) -> str:
    if year == "2016":
        return "2016_PreVFP" if "HIPM" in processed else "2016_PostVFP"
    for known, eras, name in _PERIODS:
        if known == year and (eras is None or era in eras):
            return name
    return year


def guess_key(name: str) -> str:
    """Return a short name: that of the process, or DATA_ and the primary dataset.

    >>> guess_key("/TTto2L2Nu_TuneCP5_13p6TeV_powheg/Run3Summer22-v1/NANOAODSIM")
    'TTto2L2Nu'
    """
    _, primary, _, tier = name.split("/")
    return re.split(r"_Tune|_13", primary)[0] if tier.endswith("SIM") else f"DATA_{primary}"


def save_definition(
    path: Path, key: str, sample: str, json_output: str, selected: Sequence[Selection], *, overwrite: bool
) -> None:
    """Add an entry with the selected datasets to a definition, which is made if needed.

    Datasets with the same metadata become one files entry. Raises ResultsRefused when the entry is there and
    may not be replaced, ConfigurationError when metadata are missing; the definition then stays as it was.
    """
    content = read_json(path) if path.exists() else {}
    if key in content and not overwrite:
        msg = f"{path} has an entry {key!r} already. Replace it with --overwrite, or choose another --key."
        raise ResultsRefused(msg)
    entries: list[dict[str, Any]] = []
    for each in selected:
        metadata = {name: value for name, value in each.metadata.items() if value not in (None, "")}
        instance = {} if each.instance == GLOBAL_INSTANCE else {"dbs_instance": each.instance}
        same = [
            entry
            for entry in entries
            if {**entry, "das_names": 0} == {"das_names": 0, "metadata": metadata, **instance}
        ]
        if same:
            same[0]["das_names"].append(each.name)
        else:
            entries.append({"das_names": [each.name], "metadata": metadata, **instance})
    content[key] = {"sample": sample, "json_output": json_output, "files": entries}
    _write_checked(path, content)


def _write_checked(path: Path, content: Mapping[str, Any]) -> None:
    """Write a definition if it can be read as one."""
    trial = path.with_name(f".{path.name}.trial")
    try:
        write_whole(trial, json.dumps(content, indent=4) + "\n")
        try:
            read_definition(trial)
        except ConfigurationError as error:
            raise type(error)(str(error).replace(str(trial), str(path))) from None
        trial.replace(path)
    finally:
        trial.unlink(missing_ok=True)
