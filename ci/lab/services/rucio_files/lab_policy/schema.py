"""Names that are allowed: CMS's storage (T1_DE_KIT_Disk) and blocks (/A/B/C#uuid), else the generic ones."""

from rucio.common.schema import generic
from rucio.common.schema.generic import *  # noqa: F403 - a policy package has to offer all of them

NAME_LENGTH = 500
NAME = {**generic.NAME, "maxLength": NAME_LENGTH, "pattern": r"^[/A-Za-z0-9][/A-Za-z0-9\.\-_#]*$"}
RSE = {**generic.RSE, "pattern": r"^T[0-3]_[A-Z]{2}((_[A-Za-z0-9]+)+)$"}

_PROPERTIES = {**generic.ATTACHMENT["properties"]}
_PROPERTIES["rse"] = {**_PROPERTIES["rse"], "pattern": RSE["pattern"]}
ATTACHMENT = {**generic.ATTACHMENT, "properties": _PROPERTIES}
SCHEMAS = {**generic.SCHEMAS, "name": NAME, "rse": RSE, "attachment": ATTACHMENT}
