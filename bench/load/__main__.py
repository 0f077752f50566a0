"""As many live calls as a switch carries, with daemon, worker and store on the same machine.

    ACCORD_FREESWITCH=/usr/bin/freeswitch python -m bench.load --calls 200 --minutes 60 --write
    ACCORD_FREESWITCH=… python -m bench.load --calls 200 --minutes 60 --shortest 180 --format wav
    ACCORD_FREESWITCH=/usr/bin/freeswitch python -m bench.load --ramp 100,150,200,250,300 --write

The real switch without real-time priority (``-np``) on ``freeswitch_conf/``, ``accord run`` with its defaults
(SeaweedFS and SQLite on the machine, an encoder per core at low priority), and sipp as callers and callees
with sound both ways. Calls of varied length come and go for as long as asked; the same calls are then made on
the same switch without Accord: recorded by the dialplan alone (announcement, recording, bridge), and not
recorded. Every recording is analysed afterwards (:mod:`bench.load.sound`), and catalogue, manifests and calls
are compared.

Without ``--ramp``, CPU time is split into the cost of a live minute and of a call's set-up and end. While all
of the first calls are connected and none has ended, nothing else happens: that gives the minute's share,
after subtracting what the processes use without calls; the rest of the long measurement is the calls' share.

The machine should have nothing else to do. Disk: 2 MiB per call-minute until the end of the run.
"""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import get_args

from bench.load import tables
from bench.load.installation import Mode
from bench.load.measure import Measured, Plan, Run
from tests.freeswitch.process import binary


def main() -> int:
    """Measure, print the tables, write them where asked; 2 if something is not installed."""
    arguments = _arguments()
    if arguments.saved:
        measured = pickle.loads(arguments.saved.read_bytes())
    else:
        if missing := [what for what, there in _needs().items() if not there]:
            print("not measured, for lack of: " + ", ".join(missing))
            return 2
        # Our parent may run at low priority; the measured processes must not.
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, 0, 0)
        # If interrupted in any way, the switch and all other processes end, too.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))
        measured = _measure(arguments)
    command = "python -m " + " ".join(["bench.load", *arguments.command])
    name = "load-ramp" if arguments.ramp else f"load-{arguments.format}"
    text = tables.ramp(measured, command) if arguments.ramp else tables.hour(measured, command)
    print(text)
    if arguments.write:
        tables.write(name, text)
    return 0


def _needs() -> dict[str, bool]:
    return {
        "FreeSWITCH (set ACCORD_FREESWITCH to its binary)": binary() is not None,
        "sipp": shutil.which("sipp") is not None,
    }


def _measure(arguments: argparse.Namespace) -> dict[Mode, Measured]:
    measured: dict[Mode, Measured] = {}
    folder = Path(tempfile.mkdtemp(prefix="accord-load-", dir=arguments.folder))
    for mode in arguments.modes:
        if arguments.ramp:
            steps = tuple((calls, arguments.minutes * 60) for calls in arguments.ramp)
        else:
            steps = ((arguments.calls, (arguments.minutes if mode == "accord" else arguments.beside) * 60),)
        plan = Plan(
            mode, steps, arguments.shortest, arguments.longest, arguments.store, sound_format=arguments.format
        )
        run = Run(plan, folder / mode, arguments.keep)
        measured[mode] = run.measured
        try:
            run.run()
        finally:
            # After each step and in any case, so that a late bug does not lose an hour's data.
            (arguments.save or folder / "measured").write_bytes(pickle.dumps(measured))
    print(f"the raw measurements: --saved {arguments.save or folder / 'measured'}", file=sys.stderr)
    with suppress(OSError):  # where something was to be kept
        folder.rmdir()
    return measured


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.load", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--calls", type=int, default=200, help="that are live at once")
    add("--minutes", type=float, help="to measure with Accord (60), or each step of a ramp (3)")
    add("--beside", type=float, default=5, help="minutes to measure each without Accord")
    add("--ramp", type=_numbers, help="live calls of each step, with commas")
    add("--modes", type=_modes, help="some of accord,recorded,plain")
    add("--shortest", type=float, help="seconds of a call from its answer (90; in a ramp 60)")
    add("--longest", type=float, help="(180; in a ramp 90)")
    add("--store", choices=("s3", "directory"), default="s3", help="s3: the embedded SeaweedFS")
    add("--format", choices=("opus", "wav"), default="opus", help="what is stored")
    add("--folder", type=Path, help="where to work; default: the folder for temporary files")
    add("--keep", action="store_true", help="leave everything there")
    add("--save", type=Path, help="a file for the raw measurements")
    add("--saved", type=Path, help="measure nothing, make the tables of such a file")
    add("--write", action="store_true", help="put the tables into docs/results/load.md")
    arguments = parser.parse_args()
    long = arguments.ramp is None
    arguments.minutes = arguments.minutes or (60.0 if long else 3.0)
    arguments.shortest = arguments.shortest or (90.0 if long else 60.0)
    arguments.longest = arguments.longest or (180.0 if long else 90.0)
    arguments.modes = arguments.modes or (list(get_args(Mode)) if long else ["accord", "recorded"])
    # The command that reproduces this.
    arguments.command = _plan_arguments(sys.argv[1:])
    return arguments


def _plan_arguments(words: list[str]) -> list[str]:
    own, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("--save", "--saved", "--folder"):
            skip = True
        elif word not in ("--write", "--keep"):
            own.append(word)
    return own


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _modes(text: str) -> list[str]:
    modes = text.split(",")
    if unknown := set(modes) - set(get_args(Mode)):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return modes


if __name__ == "__main__":
    sys.exit(main())
