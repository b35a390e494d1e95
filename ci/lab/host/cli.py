"""The command `ci/lab/lab`."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time

from ci.lab.errors import LabError
from ci.lab.host import build, instance, machine, testing
from ci.lab.host.places import Instance
from ci.lab.inside.supervisor import all_services, with_needs
from ci.lab.layout import PHYSICIST

FAULTS = """\
faults (each is switched on, seen by clients, and off again):
  xrootd SITE down|frozen|slow|corrupt FILE|up    SITE is kit or fnal
  condor restart|schedd-kill|hold JOB|remove JOB|release JOB
  node   kill-job JOB|reboot                      JOB is condor:12.0 or slurm:34
  disk   full|free [/shared|/scratch]
  proxy  expire|renew [HOURS]
  slurm  drain|resume
  clock-skew SECONDS|off
"""


def main() -> None:
    os.umask(0o022)  # whatever the caller's: the lab has users who must read what root makes
    arguments = _parser().parse_args()
    lab = Instance(arguments.name)
    try:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", arguments.name):
            msg = f"--name {arguments.name!r}: lower-case letters, digits and -, at most 31 of them"
            raise LabError(msg)
        code = arguments.call(lab, arguments)
    except LabError as error:
        print(error, file=sys.stderr)
        code = 1
    except BrokenPipeError:
        sys.stdout = None  # who read our output has left
        code = 1
    except OSError as error:
        print(f"The lab cannot go on: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ci/lab/lab",
        description="A whole grid site on one machine: HTCondor, Slurm, XRootD, Rucio, Dask, Apptainer.",
        epilog=FAULTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = os.environ.get("LAB_NAME", "lab")
    parser.add_argument("--name", default=default, help="which lab, when several run (default: %(default)s)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser
    _bind(add("check", help="say whether this machine can host a lab"), _check)
    _bind(add("build", help="make the root file system (once, two or three minutes)"), _build)
    up = _bind(add("up", help="start the lab and wait until every service is healthy"), _up)
    up.add_argument("--services", default="", help="only these and what they need, separated by commas")
    _bind(add("down", help="end the lab and all it started"), _down)
    status = _bind(add("status", help="show every service, its health and address"), _status)
    status.add_argument("--json", action="store_true", help="for programs")
    execute = _bind(add("exec", help="run a command in the lab, e.g. `exec -- bash`"), _exec)
    execute.add_argument("--user", default=PHYSICIST, help="default: %(default)s")
    execute.add_argument("--cwd", default="/work", help="default: %(default)s")
    execute.add_argument("--network", action="store_true", help="with the host's network, not the lab's")
    execute.add_argument("command", nargs="+", metavar="CMD")
    logs = _bind(add("logs", help="show the end of the services' logs"), _logs)
    logs.add_argument("service", nargs="?")
    logs.add_argument("--lines", type=int, default=40)
    fault = _bind(add("fault", help="switch a fault on or off (list below)"), _fault)
    fault.add_argument("words", nargs="+", metavar="WORD")
    # words with - are pytest's here
    test = add(
        "test", help="run the lab's tests in it, with pytest's words", prefix_chars="+", add_help=False
    )
    _bind(test, _test).add_argument("pytest", nargs="*", metavar="PYTEST_ARGUMENT")
    _bind(add("clean", help="end every lab and remove all that labs keep on this machine"), _clean)
    return parser


def _bind(parser: argparse.ArgumentParser, call: object) -> argparse.ArgumentParser:
    parser.set_defaults(call=call)
    return parser


def _check(_lab: Instance, _arguments: argparse.Namespace) -> int:
    machine.check()
    print("This machine can host a lab.")
    return 0


def _build(_lab: Instance, _arguments: argparse.Namespace) -> int:
    print(build.build())
    return 0


def _up(lab: Instance, arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    # an unknown name is an error here, not in the lab
    wanted = with_needs(_words(arguments.services), all_services())
    status = instance.up(lab, arguments.services)
    _show(status)
    if lacking := sorted(set(wanted) - {service["name"] for service in status["services"]}):
        msg = f"The lab {lab.name} was up, without {', '.join(lacking)}: `down` it, then `up` again."
        raise LabError(msg)
    print(f"The lab {lab.name} is up ({time.monotonic() - started:.0f} s). Play physicist in it: ", end="")
    print(f"ci/lab/lab{'' if lab.name == 'lab' else ' --name ' + lab.name} exec -- bash")
    return 0


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _down(lab: Instance, _arguments: argparse.Namespace) -> int:
    was_up = instance.down(lab)
    print(f"The lab {lab.name} is down." if was_up else f"The lab {lab.name} was not up.")
    return 0


def _status(lab: Instance, arguments: argparse.Namespace) -> int:
    if not instance.alive(lab):
        msg = f"The lab {lab.name} is not up; start it with `ci/lab/lab --name {lab.name} up`."
        raise LabError(msg)
    status = instance.request(lab, "status", "now")
    status["init"] = instance.init_pid(lab)
    if arguments.json:
        print(json.dumps(status, indent=1))
    else:
        _show(status)
    return 0 if all(service["state"] == "healthy" for service in status["services"]) else 3


def _show(status: dict) -> None:
    for service in status["services"]:
        pids = ",".join(str(pid) for pid in service["pids"])
        print(f"{service['name']:<12} {service['state']:<9} {service['seconds']:5.1f} s  ", end="")
        print(f"{service['note']}" + (f"  [pid {pids}]" if pids else ""))
    if status.get("faults"):
        print("faults on: " + ", ".join(status["faults"]))


def _exec(lab: Instance, arguments: argparse.Namespace) -> int:
    return instance.execute(
        lab, arguments.command, user=arguments.user, network=arguments.network, cwd=arguments.cwd
    )


def _logs(lab: Instance, arguments: argparse.Namespace) -> int:
    print(instance.logs(lab, arguments.service, arguments.lines))
    return 0


def _fault(lab: Instance, arguments: argparse.Namespace) -> int:
    if not instance.alive(lab):
        msg = f"The lab {lab.name} is not up; start it with `ci/lab/lab --name {lab.name} up`."
        raise LabError(msg)
    print(instance.request(lab, "fault", *arguments.words)["text"])
    return 0


def _test(lab: Instance, arguments: argparse.Namespace) -> int:
    """Run the tests marked `lab`; without a lab it is an error where CI=true, else a note and success."""
    if lacks := machine.lacks():
        print("The lab tests were not run; this machine cannot host a lab:", file=sys.stderr)
        print("\n".join(f"- {text}" for text in lacks), file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0

    def up() -> int:
        return _up(lab, argparse.Namespace(services=""))

    number = 1 if arguments.pytest else testing.number_of_labs()
    if number > 1:
        return testing.run_shares(lab, number, up)
    return testing.run_here(lab, arguments.pytest, up)


def _clean(_lab: Instance, _arguments: argparse.Namespace) -> int:
    instance.clean()
    print("All labs are down and removed.")
    return 0


if __name__ == "__main__":
    main()
