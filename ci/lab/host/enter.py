"""First process of a lab: it makes the lab's view of the file system and becomes ``ci.lab.inside.init``.

It runs in namespaces of its own (mount, pid, network, names), so that nothing it mounts is seen outside and
everything goes with it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ci.lab.layout import HOST_NAME
from ci.lab.process import replace, run

DEVICES = {
    "null": (1, 3, 0o666),
    "zero": (1, 5, 0o666),
    "full": (1, 7, 0o666),
    "random": (1, 8, 0o666),
    "urandom": (1, 9, 0o666),
    "tty": (5, 0, 0o666),
    "fuse": (10, 229, 0o666),  # lets an unprivileged user mount images without unpacking them
}
SHARED_SIZE, SCRATCH_SIZE = "4g", "2g"


def main() -> None:
    options = _options()
    _tell_pid(Path(options.pid_file))
    root = Path(options.layers) / "root"
    _overlay(Path(options.lower), Path(options.layers), root)
    _kernel_file_systems(root)
    _binds(root, options)
    _names(root)
    run(["ip", "link", "set", "lo", "up"])
    os.chdir(root)
    run(["pivot_root", ".", ".host"], cwd=root)
    os.chdir("/")
    run(["umount", "--lazy", "/.host"])
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": "/project",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAB_SERVICES": options.services,
    }
    replace(["/usr/bin/python3", "-m", "ci.lab.inside.init"], env=env)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("lower", "layers", "project", "work", "logs", "run", "images", "pid-file", "services"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def _tell_pid(path: Path) -> None:
    """Write our pid as the host knows it: /proc is still the host's here."""
    half = path.with_suffix(".part")
    half.write_text(str(Path("/proc/self").readlink()))
    half.rename(path)


def _overlay(lower: Path, layers: Path, root: Path) -> None:
    for folder in (root, layers / "upper", layers / "overlay"):
        folder.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={lower},upperdir={layers / 'upper'},workdir={layers / 'overlay'}"
    run(["mount", "-t", "overlay", "lab", "-o", options, root])


def _kernel_file_systems(root: Path) -> None:
    run(["mount", "-t", "proc", "proc", root / "proc"])
    run(["mount", "-t", "sysfs", "sysfs", root / "sys"])
    run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=1m", "dev", root / "dev"])
    for name, (major, minor, mode) in DEVICES.items():
        device = root / "dev" / name
        os.mknod(device, mode | 0o020000, os.makedev(major, minor))
        device.chmod(mode)
    for folder, options in {"pts": "newinstance,ptmxmode=0666,mode=0620", "shm": "mode=1777"}.items():
        (root / "dev" / folder).mkdir()
        kind = "devpts" if folder == "pts" else "tmpfs"
        run(["mount", "-t", kind, "-o", options, kind, root / "dev" / folder])
    (root / "dev" / "ptmx").symlink_to("pts/ptmx")
    for name, target in {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}.items():
        (root / "dev" / name).symlink_to(f"/proc/self/fd{target}")
    run(["mount", "-t", "tmpfs", "-o", "mode=0755", "run", root / "run"])
    for name, size in {"shared": SHARED_SIZE, "scratch": SCRATCH_SIZE}.items():
        run(["mount", "-t", "tmpfs", "-o", f"mode=1777,size={size}", name, root / name])


def _binds(root: Path, options: argparse.Namespace) -> None:
    (root / "run" / "lab").mkdir()
    writable = {options.work: "work", options.logs: "var/log/lab", options.run: "run/lab"}
    for source, target in writable.items():
        run(["mount", "--bind", source, root / target])
    for source, target in {options.project: "project", options.images: "images"}.items():
        run(["mount", "--bind", source, root / target])
        run(["mount", "-o", "remount,bind,ro", root / target])


def _names(root: Path) -> None:
    run(["hostname", HOST_NAME])
    (root / "etc" / "hostname").write_text(HOST_NAME + "\n")
    names = "localhost lab.site lab bare.site kit.site fnal.site redirector.site rucio.site"
    (root / "etc" / "hosts").write_text(f"127.0.0.1 {names}\n::1 ip6-localhost\n")
    resolver = Path("/etc/resolv.conf")  # the host's, for `lab exec --network`; Apptainer wants one too
    (root / "etc" / "resolv.conf").write_text(resolver.read_text() if resolver.exists() else "")


if __name__ == "__main__":
    main()
