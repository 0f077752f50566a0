"""Plans faults of an installation and the calls meanwhile, all from a seed.

Pure: the same seed gives the same faults and calls, and a longer run begins like a shorter one.  Their timing
differs a little from run to run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Action = Literal["kill", "stall", "stall_kill", "restart"]
Mode = Literal["units", "run"]

PER_EPOCH = 50
"""Faults between two quiet points."""

NUMBERS = ("3225550101", "3225550102", "3225550201", "3225550202")
"""Lines: the first two are one customer's, the others another's."""

AT_PICKUP = (NUMBERS[1], NUMBERS[3])
"""The ones that announce once somebody has answered."""

ONCE_CONNECTED = (NUMBERS[0], NUMBERS[3])
"""The ones that announce outbound calls once both are connected; the others announce before."""

DELETABLE = (NUMBERS[0], NUMBERS[2])
"""The ones on which colleagues may delete a recording (``*9``, then ``1``)."""

COLLEAGUE = "3225550123"
"""The transfer target: a telephone that is not a line."""

PAUSE_SECONDS = 3
"""Seconds after which the switch resumes a paused recording by itself."""

KEEP_QUESTION, DELETE_QUESTION = 4.5, 2.5
"""Seconds that the keep question and the deletion question take."""

BUSY, SILENT = "3225550186", "3225550287"
"""Lines where nobody answers; the phones decide by the last two digits."""

UNKNOWN, EMERGENCY = "3225550999", "112"

PROCESSES = {"daemon": 24, "worker": 21, "encoder": 10, "web": 11, "switch": 10, "store": 16, "supervisor": 8}
"""How often faults hit each process; the supervisor only under ``accord run``."""

DATABASE = 12
"""The same for a database server, where there is one."""

DEEDS: dict[Action, int] = {"kill": 40, "stall": 22, "stall_kill": 20, "restart": 18}

MOMENTS = {
    "daemon": (
        "any", "arriving", "announcing", "announced", "bridged", "ended", "transferred", "pause", "pressed",
    ),
    "worker": ("any", "encoding", "storing", "cataloguing", "ended"),
    "encoder": ("encoding",),
    "web": ("any",),
    "switch": ("any", "arriving", "announcing", "announced", "bridged", "transferred", "pause"),
    "store": ("any", "storing"),
    "supervisor": ("any", "announcing", "storing"),
    "database": ("any", "cataloguing", "storing"),
}  # fmt: skip
"""The moments that faults follow: a step of a call, or of a take in the spool."""

OUTBOUND, TRANSFERRED = 0.25, 0.15
"""Shares of the calls; only inbound ones are transferred."""

CODES = {"": 62, "pause": 14, "for ever": 4, "mark": 4, "nothing": 2, "keep": 6, "delete": 8}
"""What a colleague dials, and how often: a pause with and without its end, a mark, an end without a pause,
the question whether it may be kept, the one whether it is to be destroyed."""

ANNOUNCED_BY = 2.2
"""Seconds after the connection by which an announcement that starts then has ended."""

DIGITS = {"answers": "01", "busy": "86", "silent": "87"}

AGAIN = 0.2
"""The share of killed processes that are hit again as soon as they start."""

STALLED = {"daemon": 7.0, "worker": 5.0, "encoder": 4.0, "web": 4.0, "switch": 3.0, "store": 6.0,
           "supervisor": 4.0, "database": 3.0}  # fmt: skip
"""The most seconds that a process is stopped."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Strike ``process`` with ``action``: ``delay`` seconds after the next ``moment``, which is waited for
    from ``after`` seconds after the fault before, and once it has run for ``ran`` seconds.  ``lasts`` is
    how long it is stopped, or is away until it is started again, in seconds."""

    number: int
    process: str
    action: Action
    moment: str
    after: float
    ran: float
    delay: float
    lasts: float

    def __str__(self) -> str:
        when = "" if self.moment == "any" else f", {self.delay:.2f} s after {self.moment}"
        return f"fault {self.number}: {self.action} {self.process}{when}, for {self.lasts:.1f} s"


@dataclass(frozen=True, slots=True)
class Press:
    """Keys of ``who``, so many seconds after the two were connected."""

    after: float
    who: Literal["colleague", "external"]
    keys: str


@dataclass(frozen=True, slots=True)
class CallPlan:
    """A call, ``after`` seconds after the one before, from ``caller`` to a line (``called``); an ``outbound``
    one the other way round: the line calls ``caller``, who is then the one that may not answer.  ``caller``
    is its alone.  ``talks`` seconds after the connection it ends; ``gives_up`` seconds after its arrival,
    where that is given.  ``transfer`` seconds after the connection it is sent on to another colleague, and
    ends ``talks`` seconds after that one's."""

    number: int
    after: float
    caller: str
    called: str
    callee: Literal["answers", "busy", "silent"]
    rings: float
    talks: float
    gives_up: float | None
    keys: bool
    outbound: bool = False
    transfer: float | None = None
    presses: tuple[Press, ...] = ()

    @property
    def at_pickup(self) -> bool:
        """Whether it is announced once the two are connected."""
        return self.called in (ONCE_CONNECTED if self.outbound else AT_PICKUP)

    @property
    def line(self) -> bool:
        """Whether it goes to a recorded number."""
        return self.called in (*NUMBERS, BUSY, SILENT)


@dataclass(frozen=True, slots=True)
class Epoch:
    """From one quiet point to the next.  ``mode``: each process by itself, as under systemd, or all under
    ``accord run``."""

    number: int
    mode: Mode
    faults: tuple[Fault, ...]


def epochs(seed: int, faults: int, database: bool = False) -> Iterator[Epoch]:
    """All faults, in epochs of :data:`PER_EPOCH`; every third epoch is under ``accord run``.  ``database``:
    there is a server of it to strike."""
    for at, first in enumerate(range(1, faults + 1, PER_EPOCH)):
        mode: Mode = "run" if at % 3 == 2 else "units"
        chance = random.Random(f"faults/{seed}/{at}")
        faults_of_run: list[Fault] = []
        for n in range(PER_EPOCH):
            faults_of_run.append(
                _fault(chance, first + n, mode, faults_of_run[-1] if faults_of_run else None, database)
            )
        yield Epoch(at, mode, tuple(fault for fault in faults_of_run if fault.number <= faults))


def _fault(chance: random.Random, number: int, mode: Mode, before: Fault | None, database: bool) -> Fault:
    weights = {name: weight for name, weight in PROCESSES.items() if mode == "run" or name != "supervisor"}
    if database:
        weights["database"] = DATABASE
    process = chance.choices(list(weights), list(weights.values()))[0]
    action = chance.choices(list(DEEDS), list(DEEDS.values()))[0]
    if action == "restart" and (process == "encoder" or (process == "supervisor" and chance.random() < 0.7)):
        action = "kill"  # only its worker starts an encoder, and a supervisor takes half a minute to end
    moment = chance.choice(MOMENTS[process])
    again = chance.random() < AGAIN
    if again and before is not None and before.action in ("kill", "restart") and before.process != "encoder":
        process, moment = before.process, "starting"
    longest = {"announcing": 1.8, "starting": 2.5}.get(moment, 0.3)
    if "stall" in action:
        lasts = chance.triangular(0.2, STALLED[process], 0.5)
    else:
        lasts = chance.choice((0.0, chance.uniform(0.0, 1.5)))
    return Fault(
        number,
        process,
        action,
        moment,
        after=0.0 if moment == "starting" else chance.uniform(0.0, 0.7),
        ran=0.0 if moment == "starting" or chance.random() < 0.3 else chance.uniform(0.5, 3.5),
        # Half of them at once: short states are mostly over soon after their moment.
        delay=chance.choice((0.0, chance.uniform(0.0, 0.05), chance.uniform(0.0, longest))),
        lasts=round(lasts, 3),
    )


def calls(seed: int, epoch: int) -> Iterator[CallPlan]:
    """The endless sequence of an epoch's calls."""
    chance = random.Random(f"calls/{seed}/{epoch}")
    at = 0
    while True:
        burst = chance.random() < 0.06
        for n in range(chance.randint(4, 8) if burst else 1):
            yield _call(chance, epoch, at, 0.02 if n else chance.uniform(0.1, 1.4))
            at += 1


def _call(chance: random.Random, epoch: int, at: int, after: float) -> CallPlan:
    outbound = chance.random() < OUTBOUND
    if outbound:
        number = chance.choices((*NUMBERS, UNKNOWN), (24, 24, 24, 24, 4))[0]
        callee = chance.choices(("answers", "busy", "silent"), (90, 4, 6))[0]
    else:
        number = chance.choices((*NUMBERS, BUSY, SILENT, UNKNOWN, EMERGENCY), (22, 22, 22, 22, 4, 4, 2, 2))[0]
        callee = {BUSY: "busy", SILENT: "silent"}.get(number, "answers")
    gives_up = chance.uniform(0.1, 2.2) if chance.random() < 0.1 else None
    if callee == "silent":
        gives_up = chance.uniform(2.5, 5.0)
    rings = chance.uniform(0.1, 0.8)
    talks = chance.choice((chance.uniform(0.3, 2.0), chance.uniform(2.0, 5.0)))
    keys = chance.random() < 0.2
    begins = ANNOUNCED_BY if number in (ONCE_CONNECTED if outbound else AT_PICKUP) else 0.3
    presses, transfer = _presses(chance, begins), None
    if chance.random() < TRANSFERRED and not outbound:
        transfer = begins + chance.uniform(0.0, 1.5)
    if number not in NUMBERS or callee != "answers" or gives_up is not None:
        presses, transfer = (), None
    least = max([0.0, *(each.after + 0.8 for each in presses), 0.0 if transfer is None else transfer + 0.5])
    # A real phone behaves by the last two digits of its number.
    caller = f"324{epoch:03}{at:05}{DIGITS[callee]}" if outbound else f"+324{epoch:03}{at:05}"
    return CallPlan(
        number=epoch * 10_000 + at,
        after=after,
        caller=caller,
        called=number,
        callee=callee,  # type: ignore[arg-type]  # one of the three
        rings=rings,
        talks=max(talks, least),
        gives_up=gives_up,
        keys=keys and not outbound,
        outbound=outbound,
        transfer=transfer,
        presses=presses,
    )


def _presses(chance: random.Random, begins: float) -> tuple[Press, ...]:
    """The keys dialled in a call, from ``begins`` on."""
    at = begins + chance.uniform(0.0, 1.0)
    what = chance.choices(list(CODES), list(CODES.values()))[0]
    if what == "pause":
        at_resume = at + chance.uniform(0.9, 2.4)
        presses = [Press(at, "colleague", "*6"), Press(at_resume, "colleague", "*7")]
        if chance.random() < 0.3:
            presses.append(Press(at_resume + chance.uniform(0.5, 1.0), "colleague", "*6"))
        return tuple(presses)
    if what == "keep":
        who, key = chance.choice(
            (("external", "1"), ("external", "1"), ("external", "2"), ("colleague", "1"), ("", ""))
        )
        answered = Press(at + KEEP_QUESTION + chance.uniform(1.0, 2.0), who, key)  # type: ignore[arg-type]
        return (Press(at, "colleague", "*5"), *((answered,) if key else ()))
    if what == "delete":
        who, key = chance.choice(
            (("colleague", "1"), ("colleague", "1"), ("colleague", "2"), ("external", "1"))
        )
        answered = Press(at + DELETE_QUESTION + chance.uniform(1.2, 2.2), who, key)  # type: ignore[arg-type]
        return (Press(at, "colleague", "*9"), answered)
    codes = {"": (), "mark": ("*8",), "for ever": ("*6",), "nothing": ("*7",)}[what]
    return tuple(Press(at, "colleague", code) for code in codes)
