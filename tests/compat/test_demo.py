"""The result of ``make demo`` with few events is the one on record; images are held to the same record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "goldens" / "demo.json"


def demo(folder, golden, *options):
    command = [sys.executable, str(ROOT / "ci" / "demo.py"), str(folder), "--golden", str(golden), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_demo_gives_the_result_on_record_and_another_one_is_found(tmp_path, request):
    renew = ["--renew"] if request.config.getoption("--renew-goldens") else []
    done = demo(tmp_path, GOLDEN, *renew)
    assert done.returncode == 0, done.stdout + done.stderr
    changed = json.loads(GOLDEN.read_text())
    name = next(key for key in changed if key.startswith("sumw | "))
    changed[name] *= 1.001
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    done = demo(tmp_path, tmp_path / "changed.json")
    assert done.returncode == 3
    assert name in done.stdout
