"""All object helpers under one name: jets, leptons, generated objects, photons."""

from __future__ import annotations

from pocket_coffea.lib import gen_objects, jets, leptons, photon
from pocket_coffea.lib.gen_objects import *  # noqa: F403
from pocket_coffea.lib.jets import *  # noqa: F403
from pocket_coffea.lib.leptons import *  # noqa: F403
from pocket_coffea.lib.photon import *  # noqa: F403

__all__ = [*gen_objects.__all__, *jets.__all__, *leptons.__all__, *photon.__all__]  # noqa: PLE0604
