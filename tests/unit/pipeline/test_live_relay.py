"""The worker's part in what is asked of live calls, with a daemon that is a socket."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.call.remote_commands import NOT_ALLOWED
from recorder.catalogue.database import writing
from recorder.catalogue.tables.live_call import LiveCallTable, LiveCommandTable
from recorder.domain.live_command import (
    DONE,
    NO_ANSWER,
    PATIENCE,
    SOCKET,
    UNKNOWN,
    Request,
    carry,
    place,
)
from recorder.errors import SealError
from recorder.features.live import queries
from recorder.features.live.duty import Desk, live_row
from recorder.features.live.queries import AskedRow
from recorder.identity import tenants
from recorder.ids import uuid7
from recorder.seal import signing
from recorder.spool import layout
from recorder.spool.layout import CallEnd, Mark

pytestmark = pytest.mark.postgresql


class Daemon:
    """Answers with what it is given, line by line; ``asked`` is what it was asked."""

    def __init__(self, folder: Path, *answers: object) -> None:
        self.asked: list[dict] = []
        self._answers = answers
        self._server = socket.socket(socket.AF_UNIX)
        with place(folder) as name:
            self._server.bind(name)
        self._server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                self.asked.append(json.loads(lines.readline()))
                for answer in self._answers:
                    connection.sendall(json.dumps(answer).encode() + b"\n")

    def close(self) -> None:
        if self._server.fileno() >= 0:
            self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()


@pytest.fixture
def daemon(house) -> Iterator[Callable[..., Daemon]]:
    made: list[Daemon] = []

    def make(*answers: object) -> Daemon:
        made.append(Daemon(house.spool, *answers))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def desk(house, clock, entropy) -> Desk:
    return Desk("node1", house.spool, house.means.root, clock, entropy)


@pytest.fixture
def call(house, clock) -> Path:
    """The folder of a call in which two speak."""
    start = house.start()
    folder = layout.open_take(house.spool, start)
    for kind in ("recording_started", "announcement_started", "announcement_finished", "bridged"):
        layout.append_mark(folder, Mark(clock(), kind, {}))
    return folder


def asked_of(house, call_id: str, what: str, **more) -> AskedRow:
    """Something that the panel asks of a call, signed with its key."""
    keys = house.folder / "keys"
    panel = signing.load_signer(keys / signing.PANEL_KEY, keys / signing.PANEL_ENDORSEMENT)
    said = {"by": "panel", "who": "u", "now": house.clock(), "entropy": house.entropy, "signer": panel}
    tenant = more.pop("tenant", house.tenant)
    row = queries.ask(tenant, call_id, what, **said | more)
    assert row is not None
    return row


TAKEN, TELLS_DONE = {"taken": True}, {"outcome": DONE}


def test_what_was_asked_is_carried_and_answered(house, desk, call, daemon, clock, entropy) -> None:
    there = daemon(TAKEN, TELLS_DONE)
    desk.turn()
    (row,) = queries.calls(house.tenant, clock())
    assert (row.id, row.announced, row.number) == (call.name, True, house.line.number)
    asked = asked_of(house, row.id, "pause")
    desk.turn()
    desk.turn()
    assert queries.asked(house.tenant, asked.id, clock(), entropy).outcome == DONE
    (said,) = there.asked
    assert {name: said[name] for name in ("id", "call", "action", "by")} == {
        "id": asked.id, "call": row.id, "action": "pause", "by": "panel",
    }  # fmt: skip
    assert 0 < said["until"] - time.monotonic() <= queries.DEADLINE.total_seconds()


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ((TAKEN, {"outcome": "not_announced"}), "not_announced"),
        (({"outcome": NO_ANSWER},), NO_ANSWER),  # too late for it
        ((), NO_ANSWER),  # it ended before it took it
        ((TAKEN,), UNKNOWN),  # and after
        ((TAKEN, ["done"]), UNKNOWN),
    ],
)
def test_nothing_is_said_to_be_done_that_the_daemon_has_not_said(house, daemon, answers, outcome) -> None:
    daemon(*answers)
    request = Request("an-id", "a-call", "pause", "panel", time.monotonic() + 1)
    assert carry(house.spool, request) == outcome


def test_a_daemon_that_is_dead_has_done_nothing_and_that_is_known_at_once(house, daemon) -> None:
    request = Request("an-id", "a-call", "pause", "panel", time.monotonic() + PATIENCE)
    began = time.monotonic()
    assert carry(house.spool, request) == NO_ANSWER
    daemon().close()
    assert (house.spool / SOCKET).exists(), "as a daemon leaves it that was killed"
    assert carry(house.spool, request) == NO_ANSWER
    assert time.monotonic() - began < 1


def test_a_worker_that_comes_back_asks_what_became_of_it_and_has_nothing_done(
    house, desk, call, daemon, clock, entropy
) -> None:
    desk.turn()
    asked = [asked_of(house, call.name, "note") for _ in range(2)]
    for each in asked:
        assert queries.take("node1", each.id, clock(), entropy)
    knows = daemon(TAKEN, TELLS_DONE)
    Desk("node1", house.spool, house.means.root, clock, entropy).turn()
    assert [one["until"] for one in knows.asked] == [0, 0]
    assert {queries.asked(house.tenant, one.id, clock(), entropy).outcome for one in asked} == {DONE}


def test_what_a_daemon_does_not_know_either_is_not_known(house, desk, call, daemon, clock, entropy) -> None:
    desk.turn()
    asked = asked_of(house, call.name, "note")
    assert queries.take("node1", asked.id, clock(), entropy)
    daemon({"outcome": NO_ANSWER})
    Desk("node1", house.spool, house.means.root, clock, entropy).turn()
    assert queries.asked(house.tenant, asked.id, clock(), entropy).outcome == UNKNOWN


@pytest.mark.parametrize(
    "change",
    [
        {"command": None},
        {"action": "delete"},
        {"call_id": "01930000-0000-7000-8000-0000000000c9"},
        {"by_id": "somebody"},
        {"by_kind": "api"},
        {"until": timedelta(minutes=5)},
        {"command": "{}"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_command_that_was_not_signed_so_is_not_carried_out(house, desk, call, daemon, change) -> None:
    """Whoever writes to the catalogue past the panel pauses and destroys nothing."""
    there = daemon(TAKEN, TELLS_DONE)
    desk.turn()
    row = asked_of(house, call.name, "pause")
    changed = {
        name: house.clock() + value if isinstance(value, timedelta) else value
        for name, value in change.items()
    }
    with writing():
        LiveCommandTable.update(**changed).where(LiveCommandTable.id == row.id).execute()
    desk.turn()
    assert there.asked == []
    assert LiveCommandTable.get_by_id(row.id).outcome == NOT_ALLOWED


def test_a_made_up_command_is_not_carried_out(house, desk, call, daemon, clock) -> None:
    there = daemon(TAKEN, TELLS_DONE)
    desk.turn()
    with writing():
        LiveCommandTable.create(
            id="made-up", tenant_id=house.tenant, call_id=call.name, node="node1", what="delete",
            by_kind="panel", by_id="u", requested_at=clock(), until=clock() + queries.DEADLINE,
        )  # fmt: skip
    desk.turn()
    assert there.asked == []


@pytest.fixture
def rival(clock, entropy) -> str:
    """Another customer's id."""
    identity = str(uuid7(clock(), entropy))
    tenants.create_tenant(identity, name="Rival", wrapped_key="{}", now=clock(), entropy=entropy)
    return identity


def test_what_another_customer_asks_of_a_call_is_not_done(house, desk, call, daemon, rival, clock) -> None:
    """Whoever writes to the catalogue gives a call's row to a customer, who then asks for it."""
    there = daemon(TAKEN, TELLS_DONE)
    desk.turn()
    with writing():
        assert LiveCallTable.update(tenant_id=rival, deletable=1).execute() == 1
    row = asked_of(house, call.name, "delete", tenant=rival)
    desk.turn()
    assert there.asked == []
    assert LiveCommandTable.get_by_id(row.id).outcome == NOT_ALLOWED


@pytest.mark.parametrize("column", ["tenant_id", "external_value", "announced", "deletable"])
def test_a_row_of_a_call_that_was_changed_is_put_right(house, desk, call, rival, clock, column) -> None:
    desk.look()
    before = queries.calls(house.tenant, clock())
    with writing():
        LiveCallTable.update(**{column: {"announced": 0, "deletable": 1}.get(column, rival)}).execute()
    desk._seen_due = 0.0
    desk.look()
    assert queries.calls(house.tenant, clock()) == before
    assert queries.calls(rival, clock()) == ()


def test_a_command_by_a_key_that_was_revoked_is_not_carried_out(house, call, daemon, clock, entropy) -> None:
    there = daemon(TAKEN, TELLS_DONE)
    panel = signing.load_endorsement(house.folder / "keys" / signing.PANEL_ENDORSEMENT)
    revoked = {panel.key_id: clock() - timedelta(seconds=1)}
    desk = Desk("node1", house.spool, house.means.root, clock, entropy, revoked=lambda: revoked)
    desk.turn()
    asked_of(house, call.name, "note")
    desk.turn()
    assert there.asked == []


def test_a_key_that_is_not_endorsed_for_commands_signs_none(house, desk, call) -> None:
    desk.turn()
    other = signing.Signer(
        key := Ed25519PrivateKey.generate(),
        signing.endorse(
            signing.load_private(house.folder / "keys" / signing.ROOT_KEY),
            key.public_key(),
            (signing.AMENDMENT,),
            house.clock() - timedelta(days=1),
            house.clock() + timedelta(days=1),
        ),
    )
    with pytest.raises(SealError) as refused:
        asked_of(house, call.name, "note", signer=other)
    assert refused.value.error_id == "seal.endorsement_use"


def test_a_call_that_has_ended_goes(house, desk, call, clock) -> None:
    desk.look()
    assert queries.calls(house.tenant, clock())
    layout.append_mark(call, Mark(clock(), "paused", {"seconds": "120"}))
    desk.look()
    (row,) = queries.calls(house.tenant, clock())
    assert row.paused_until == clock() + timedelta(seconds=120)
    layout.close_take(call, CallEnd("recorded", None, clock(), None))
    desk.look()
    assert queries.calls(house.tenant, clock()) == ()


def test_what_another_worker_forgot_is_said_again(house, desk, call, clock) -> None:
    desk.look()
    clock.forward(minutes=11)
    queries.drop_old(clock())
    desk._seen_due = 0.0
    desk.look()
    assert queries.calls(house.tenant, clock())


def test_what_is_not_recorded_or_not_any_more_is_not_among_them(house, clock) -> None:
    start = house.start()
    told = tuple(Mark(clock(), kind, {}) for kind in ("recording_started", "announcement_finished"))
    assert live_row(start, told, clock()) is not None
    assert live_row(house.start(refused="full_disk"), told, clock()) is None
    assert live_row(house.start(tenant=None), told, clock()) is None
    for kind in ("deleted", "transferred_outside", "hangup", "recording_stopped"):
        assert live_row(start, (*told, Mark(clock(), kind, {})), clock()) is None
    refused = Mark(clock(), "question_answered", {"question": "recording", "answer": "no"})
    assert live_row(house.start(mode="opt-out"), (*told, refused), clock()) is None
    silent = Mark(clock(), "question_answered", {"question": "recording", "answer": "none"})
    assert live_row(house.start(mode="opt-out"), (*told, silent), clock()) is not None
    assert live_row(house.start(mode="opt-in"), (silent,), clock()) is None
    begins_anew = (Mark(clock(), "recording_started", {}), Mark(clock(), "recording_stopped", {}))
    assert live_row(house.start(at_pickup=True), begins_anew, clock()) is not None


def test_a_pause_that_nobody_saw_begin_does_not_change_with_every_look(house, clock) -> None:
    start = house.start()
    marks = (Mark(clock(), "announcement_finished", {}), Mark(clock(), "paused", {"seen": "later"}))
    row = live_row(start, marks, clock())
    assert row.paused(clock())
    assert live_row(start, marks, clock() + timedelta(minutes=1)) == row
