"""Codes to rooms guessed by a program at full speed: how long each kind of answer takes.

    python -m bench.room_codes [rounds]

The worker's desk on a catalogue of its own (SQLite) and the daemon's part, without a switch: callers enter
codes all at once, twenty in a round of each kind (unknown, of a withdrawn invitation, right from a strange
number with the day's budget used up) and right ones from the invited number. From the switch's event to the
order that sends the caller on, in milliseconds; and how well the time alone tells a kind from unknown codes:
the area under the curve (0.5: as well as a coin, 1: always). At the end the honest caller comes in.
"""

import random
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import gevent
import numpy as np
import structlog

from recorder.capture.room_callers import FIRST_CODE_S, RoomCallers
from recorder.domain.room_caller import ANSWER, ASK, CODE, ENTER, CallerDirection, CallerReport
from recorder.features.disputes.callers import CallerDesk
from recorder.features.disputes.dial_in import ALL_NUMBERS, DialIn
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.disputes.service import Disputes
from recorder.identity import throttle
from recorder.mail.outbox import Outbox
from recorder.switch.esl_events import EslEvent
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.house import House
from tests.unit.disputes.conftest import Scene

STRANGER = "+32470000099"
UNKNOWN, ENDED, USED_UP, RIGHT = "unknown", "withdrawn", "budget used up", "right, invited number"
MANY, FEW = 20, 4


@dataclass
class SilentSwitch:
    """Takes orders, and notes when."""

    at: dict[str, float] = field(default_factory=dict)

    def send_all(self, orders: Any, _limit: float) -> list[Any]:
        for order in orders:
            for word in str(order).split():
                if word.startswith("caller-"):
                    self.at.setdefault(word, perf_counter())
        return []


def main(rounds: int) -> int:
    """Measure and print a table; 1 if the honest caller stays out."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    folder = Path(tempfile.mkdtemp(prefix="accord-bench-"))
    house = House(folder, Clock(), RepeatableEntropy())
    bakery = house.customer("Boulangerie Martin", "+3225550100")
    house.person(bakery, "claire", "Claire Martin")
    house.person(bakery, "paul", "Paul Martin", role="customer_admin")
    scene = Scene(house, bakery, house.call(bakery), Disputes(house.changes))
    dial_in = DialIn("+3225550199", house.keyring, house.trust)
    desk = CallerDesk(
        folder, folder / "desk", dial_in, GuestInvitations(scene.disputes, Outbox(), dial_in),
        lambda *_room: (), lambda: True, "node1", "BE",
    )  # fmt: skip
    withdrawn = scene.open()
    issued = scene.invite(withdrawn)
    ended = dial_in.code_of(scene.find(withdrawn), scene.guest(withdrawn).id, house.clock()) or ""
    scene.invitations.withdraw_invitation(scene.claire, withdrawn.id, issued.guest)
    dispute, _jan = scene.recognised()
    guest = scene.guest(dispute)
    code, number = dial_in.code_of(scene.find(dispute), guest.id, house.clock()) or "", guest.number or ""
    times: dict[str, list[float]] = {UNKNOWN: [], ENDED: [], USED_UP: [], RIGHT: []}
    answers: dict[str, set[str]] = {kind: set() for kind in times}
    switch = SilentSwitch()
    kinds: dict[str, str] = {}

    def answer(_spool: Path, report: CallerReport) -> CallerDirection:
        direction = desk.answer(report)
        answers[kinds[report.channel]].add(direction.to)
        return direction

    callers = RoomCallers(switch, folder, report=answer)  # type: ignore[arg-type]

    def ask(calls: list[tuple[str, str, str]], turn: str) -> None:
        begins: dict[str, float] = {}
        for place, (kind, keys, shown) in enumerate(calls):
            channel = f"caller-{turn}-{place}"
            kinds[channel], begins[channel] = kind, perf_counter()
            event = f"Event-Name: CUSTOM\nUnique-ID: {channel}\naccord_room_step: {CODE}\n"
            event += f"accord_room_keys: {keys}\nCaller-Caller-ID-Number: {shown}\n\n"
            callers.handle_event(EslEvent(event.encode()))
            gevent.sleep(0.002)
        gevent.sleep(FIRST_CODE_S + 1)
        for channel, begin in begins.items():
            times[kinds[channel]].append((switch.at[channel] - begin) * 1000)
        callers._tries.clear()

    for turn in range(rounds):
        throttle.clear(ALL_NUMBERS[0], house.clock())
        calls = [(UNKNOWN, f"{turn:05}{place:04}", STRANGER) for place in range(MANY)]
        calls += [(ENDED, ended, STRANGER)] * MANY + [(RIGHT, code, number)] * FEW
        random.shuffle(calls)
        ask(calls, f"{turn}a")
        _use_up(house)
        ask([(USED_UP, code, STRANGER)] * MANY + [(RIGHT, code, number)] * FEW, f"{turn}b")
    for kind, found in times.items():
        late, told = statistics.quantiles(found, n=20)[-1], _area(times[UNKNOWN], found)
        middle = statistics.median(found)
        print(f"{kind:22} {len(found):5} {middle:8.2f} {late:8.2f}  told {told:.2f}  {answers[kind]}")
    is_asked = desk.answer(CallerReport("honest", CODE, code, number)).to == ASK
    entered = desk.answer(CallerReport("honest", ANSWER, "1", number)).to
    print(f"the honest caller, with the budget used up: asked {is_asked}, {entered}")
    house.close()
    return 0 if is_asked and entered == ENTER else 1


def _use_up(house: House) -> None:
    while throttle.take([ALL_NUMBERS], house.clock()) == 0:
        pass


def _area(first: list[float], second: list[float]) -> float:
    """How often a value of one list is beyond one of the other, in the direction in which it mostly is."""
    one, two = np.array(first)[:, None], np.array(second)[None, :]
    share = float((one < two).mean() + (one == two).mean() / 2)
    return max(share, 1 - share)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
