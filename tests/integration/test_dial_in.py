"""A guest calls the room's number: practice switch, daemon and worker let them in, and end their session when
they hang up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import gevent
import pytest

from demo.practice.party import PracticeParty
from demo.practice.switch import PracticeSwitch
from recorder.clock import utc_now
from recorder.domain.live_command import DONE
from recorder.domain.room_caller import SESSION_VARIABLE
from recorder.features.disputes.dial_in import DialIn
from recorder.features.disputes.guest_calls import latest_call_to_room
from recorder.features.disputes.service import Disputes
from recorder.identity import users
from tests.house import House
from tests.processes import PASSWORD, Installation, Ports
from tests.unit.disputes.conftest import Scene

NUMBER = "+3225550199"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path, utc_now, os.urandom)
    yield found
    found.close()


@pytest.fixture
def scene(house: House) -> Scene:
    bakery = house.customer("Boulangerie Martin", "+3225550100")
    house.person(bakery, "claire", "Claire Martin")
    house.person(bakery, "paul", "Paul Martin", role="customer_admin")
    return Scene(house, bakery, house.call(bakery), Disputes(house.changes))


def wait(what: str, condition: Callable[[], object]) -> None:
    with gevent.Timeout(60, AssertionError(what)):
        while not condition():
            gevent.sleep(0.05)


def test_a_guest_enters_the_code_says_yes_and_is_in_the_room(scene: Scene, house: House) -> None:
    dispute, jan = scene.recognised()
    dial_in = DialIn(NUMBER, house.keyring, house.trust)
    code = dial_in.code_of(scene.find(dispute), jan.id, utc_now())
    with rooms_site(house) as (switch, prompts):
        call = switch.call(NUMBER, PracticeParty(number="+32470000099"))
        wait("greeting", lambda: call.played == [str(prompts / "code.wav")])
        for key in str(code):
            call.press(key)
        wait("question", lambda: len(call.played) == 2)
        call.press("1")
        wait("conference", lambda: f"accord-room-{dispute.id}" in switch.conferences)
        session = call.leg.variables[SESSION_VARIABLE]
        assert is_valid(jan.tenant, jan.id, session, utc_now())
        call.hang_up()
        wait("end", lambda: not is_valid(jan.tenant, jan.id, session, utc_now()))


def test_a_guest_who_asks_for_it_is_called_and_enters_the_code(scene: Scene, house: House) -> None:
    dispute, jan = scene.recognised()
    dial_in = DialIn(NUMBER, house.keyring, house.trust)
    code = dial_in.code_of(scene.find(dispute), jan.id, utc_now())
    dial = {"ACCORD_VERIFICATION_CALLS_DIAL": "sofia/gateway/trunk/{number}"}
    with rooms_site(house, **dial) as (switch, prompts):
        scene.calls.order_to_room(jan.tenant, dispute.id, jan.id)
        wait("call", lambda: switch.sessions)
        (call,) = switch.sessions.values()
        assert call.leg.callee == "+32470123456"
        wait("greeting", lambda: call.played == [str(prompts / "code-nl.wav")])
        for key in str(code):
            call.press(key)
        wait("question", lambda: len(call.played) == 2)
        call.press("1")
        wait("conference", lambda: f"accord-room-{dispute.id}" in switch.conferences)
        wait("outcome", lambda: outcome_of(jan.tenant, jan.id) == DONE)
        session = call.leg.variables[SESSION_VARIABLE]
        call.hang_up()
        wait("end", lambda: not is_valid(jan.tenant, jan.id, session, utc_now()))


@contextmanager
def rooms_site(house: House, **settings: str) -> Iterator[tuple[PracticeSwitch, Path]]:
    """A switch with a daemon and a worker, and the folder of what callers to rooms hear."""
    ports, prompts = Ports.reserve(), house.folder / "snapshot" / "room_prompts"
    sounds = tempfile.TemporaryDirectory(dir="/dev/shm", prefix="accord-test-")
    rooms = {"ACCORD_ROOMS_NUMBER": NUMBER, "ACCORD_ROOMS_SOUNDS": sounds.name, **settings}
    site = Installation(house.folder, {**house.environment(), **ports.switch, **rooms})
    environment = {"ACCORD_ROOM_NUMBER": r"^\+?3225550199$", "ACCORD_ROOM_PROMPTS": str(prompts)}
    daemon = f"127.0.0.1:{ports.calls}"
    with PracticeSwitch(
        password=PASSWORD, daemon=daemon, event_port=ports.event_socket, environment=environment
    ) as switch:
        try:
            site.start("worker")
            site.start("daemon")
            wait("daemon", lambda: switch.has_daemon)
            wait("worker", (house.folder / "spool" / ".callers").exists)
            yield switch, prompts
        finally:
            site.close()
            sounds.cleanup()


def outcome_of(tenant: str, guest: str) -> str | None:
    call = latest_call_to_room(tenant, guest)
    return None if call is None else call.outcome


def is_valid(tenant: str, user: str, session: str, at: datetime) -> bool:
    return users.is_session_valid(tenant, user, session, at)
