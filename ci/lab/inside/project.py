"""Make the checkout, which is mounted read-only, importable and runnable from the virtual environment."""

from __future__ import annotations

import tomllib

from ci.lab.inside.service import write
from ci.lab.layout import PROJECT, VENV

SCRIPT = """\
#!{python}
import sys
from {module} import {call}
if __name__ == "__main__":
    sys.exit({call}())
"""


def install() -> None:
    """Write the path file and the commands that an editable installation would write."""
    site_packages = next((VENV / "lib").glob("python3.*")) / "site-packages"
    write(site_packages / "pocket-coffea-checkout.pth", f"{PROJECT}\n")
    metadata = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    for name, target in metadata["scripts"].items():
        module, _, call = target.partition(":")
        python = VENV / "bin" / "python"
        write(VENV / "bin" / name, SCRIPT.format(python=python, module=module, call=call), mode=0o755)
