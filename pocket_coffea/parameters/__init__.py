"""Parameters of an analysis: the defaults of the package and everything to extend them."""

from pocket_coffea.parameters.defaults import *  # noqa: F403
from pocket_coffea.parameters.defaults import __all__  # noqa: F401
