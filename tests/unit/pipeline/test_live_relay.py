"""The worker's relay of commands to live calls, with a daemon that is a socket."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.call.remote_commands import NOT_ALLOWED
from recorder.catalogue.database import writing
from recorder.catalogue.tables.live_call import EndedCallTable, LiveCallTable, LiveCommandTable
from recorder.domain.live_command import DONE, NO_ANSWER, UNKNOWN, Request
from recorder.domain.markers import Marker
from recorder.errors import SealError
from recorder.features.live import duty, queries, service
from recorder.features.live.duty import LiveCallRelay
from recorder.features.live.queries import CommandRow
from recorder.features.live.rules import live_row
from recorder.identity import tenants
from recorder.ids import uuid7
from recorder.seal import signing
from recorder.spool import layout
from recorder.spool.command_socket import OUTCOME_TIMEOUT, SOCKET, send_request, socket_path
from recorder.spool.layout import CallEnd
from tests.expected_errors import expect_error

pytestmark = pytest.mark.postgresql


NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


class Daemon:
    """Answers with what it is given, line by line; ``asked`` is what it was asked."""

    def __init__(self, folder: Path, *answers: object) -> None:
        self.request_log: list[dict] = []
        self._answers = answers
        self._server = socket.socket(socket.AF_UNIX)
        with socket_path(folder) as name:
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
                self.request_log.append(json.loads(lines.readline()))
                for answer in self._answers:
                    connection.sendall(json.dumps(answer).encode() + b"\n")

    def close(self) -> None:
        if self._server.fileno() >= 0:
            self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()


@pytest.fixture
def daemon(house) -> Iterator[Callable[..., Daemon]]:
    daemons: list[Daemon] = []

    def make(*answers: object) -> Daemon:
        daemons.append(Daemon(house.spool, *answers))
        return daemons[-1]

    yield make
    for each in daemons:
        each.close()


@pytest.fixture
def relay(house, clock, entropy) -> LiveCallRelay:
    return LiveCallRelay("node1", house.spool, house.services.root, clock, entropy)


@pytest.fixture
def call(house, clock) -> Path:
    """The folder of a call in which two speak."""
    start = house.start()
    folder = layout.open_take(house.spool, start)
    for kind in ("recording_started", "announcement_started", "announcement_finished", "bridged"):
        layout.append_marker(folder, Marker(clock(), kind))
    return folder


def request_command(house, call_id: str, what: str, **more) -> CommandRow:
    """Something that the panel asks of a call, signed with its key."""
    keys = house.folder / "keys"
    panel = signing.load_signer(keys / signing.PANEL_KEY, keys / signing.PANEL_ENDORSEMENT)
    options = {"by": "panel", "who": "u", "now": house.clock(), "entropy": house.entropy, "signer": panel}
    tenant = more.pop("tenant", house.tenant)
    row = service.request_command(tenant, call_id, what, **options | more)
    assert row is not None
    return row


TAKES_ORDER, TELLS_DONE = {"taken": True}, {"outcome": DONE}


def test_carries_a_command_and_records_its_outcome(house, relay, call, daemon, clock, entropy) -> None:
    there = daemon(TAKES_ORDER, TELLS_DONE)
    relay.turn()
    (row,) = queries.live_calls(house.tenant, clock())
    assert (row.id, row.announced, row.number) == (call.name, True, house.line.number)
    request = request_command(house, row.id, "pause")
    relay.turn()
    relay.turn()
    assert service.find_command(house.tenant, request.id, clock(), entropy).outcome == DONE
    (order,) = there.request_log
    assert {name: order[name] for name in ("id", "call", "action", "by")} == {
        "id": request.id, "call": row.id, "action": "pause", "by": "panel",
    }  # fmt: skip
    assert 0 < order["until"] - time.monotonic() <= queries.DEADLINE.total_seconds()


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ((TAKES_ORDER, {"outcome": "not_announced"}), "not_announced"),
        (({"outcome": NO_ANSWER},), NO_ANSWER),  # too late for it
        ((), NO_ANSWER),  # it ended before it took it
        ((TAKES_ORDER,), UNKNOWN),  # and after
        ((TAKES_ORDER, ["done"]), UNKNOWN),
    ],
)
def test_records_only_outcomes_that_the_daemon_reported(house, daemon, answers, outcome) -> None:
    daemon(*answers)
    request = Request("an-id", "a-call", "pause", "panel", time.monotonic() + 1)
    assert send_request(house.spool, request) == outcome


def test_a_dead_daemon_means_not_done_at_once(house, daemon) -> None:
    request = Request("an-id", "a-call", "pause", "panel", time.monotonic() + OUTCOME_TIMEOUT)
    start = time.monotonic()
    assert send_request(house.spool, request) == NO_ANSWER
    daemon().close()
    assert (house.spool / SOCKET).exists(), "as a daemon leaves it that was killed"
    assert send_request(house.spool, request) == NO_ANSWER
    assert time.monotonic() - start < 1


def test_a_restarted_worker_asks_for_outcomes_and_repeats_nothing(
    house, relay, call, daemon, clock, entropy
) -> None:
    relay.turn()
    requests = [request_command(house, call.name, "mark") for _ in range(2)]
    for each in requests:
        assert queries.take("node1", each.id, clock(), entropy)
    knows = daemon(TAKES_ORDER, TELLS_DONE)
    LiveCallRelay("node1", house.spool, house.services.root, clock, entropy).turn()
    assert [one["until"] for one in knows.request_log] == [0, 0]
    assert {service.find_command(house.tenant, one.id, clock(), entropy).outcome for one in requests} == {
        DONE
    }


def test_an_outcome_unknown_to_the_daemon_is_unknown(house, relay, call, daemon, clock, entropy) -> None:
    relay.turn()
    request = request_command(house, call.name, "mark")
    assert queries.take("node1", request.id, clock(), entropy)
    daemon({"outcome": NO_ANSWER})
    LiveCallRelay("node1", house.spool, house.services.root, clock, entropy).turn()
    assert service.find_command(house.tenant, request.id, clock(), entropy).outcome == UNKNOWN


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
def test_refuses_a_command_that_differs_from_its_signature(house, relay, call, daemon, change) -> None:
    """Whoever writes to the catalogue past the panel pauses and destroys nothing."""
    there = daemon(TAKES_ORDER, TELLS_DONE)
    relay.turn()
    row = request_command(house, call.name, "pause")
    changed = {
        name: house.clock() + value if isinstance(value, timedelta) else value
        for name, value in change.items()
    }
    with writing():
        LiveCommandTable.update(**changed).where(LiveCommandTable.id == row.id).execute()
    relay.turn()
    assert there.request_log == []
    assert LiveCommandTable.get_by_id(row.id).outcome == NOT_ALLOWED


def test_refuses_an_unsigned_command(house, relay, call, daemon, clock) -> None:
    there = daemon(TAKES_ORDER, TELLS_DONE)
    relay.turn()
    with writing():
        LiveCommandTable.create(
            id="made-up", tenant_id=house.tenant, call_id=call.name, node="node1", action="delete",
            by_kind="panel", by_id="u", requested_at=clock(), until=clock() + queries.DEADLINE,
        )  # fmt: skip
    relay.turn()
    assert there.request_log == []


@pytest.fixture
def rival(clock, entropy) -> str:
    """Another customer's id."""
    identity = str(uuid7(clock(), entropy))
    tenants.create_tenant(identity, name="Rival", wrapped_key="{}", now=clock(), entropy=entropy)
    return identity


def test_refuses_another_customers_command(house, relay, call, daemon, rival, clock) -> None:
    """Whoever writes to the catalogue gives a call's row to a customer, who then asks for it."""
    there = daemon(TAKES_ORDER, TELLS_DONE)
    relay.turn()
    with writing():
        assert LiveCallTable.update(tenant_id=rival, deletable=1).execute() == 1
    row = request_command(house, call.name, "delete", tenant=rival)
    relay.turn()
    assert there.request_log == []
    assert LiveCommandTable.get_by_id(row.id).outcome == NOT_ALLOWED


@pytest.mark.parametrize("column", ["tenant_id", "external_value", "announced", "deletable"])
def test_restores_an_altered_row(house, relay, call, rival, clock, column) -> None:
    relay.look()
    before = queries.live_calls(house.tenant, clock())
    with writing():
        LiveCallTable.update(**{column: {"announced": 0, "deletable": 1}.get(column, rival)}).execute()
    relay._seen_due = 0.0
    relay.look()
    assert queries.live_calls(house.tenant, clock()) == before
    assert queries.live_calls(rival, clock()) == ()


def test_refuses_a_command_by_a_revoked_key(house, call, daemon, clock, entropy) -> None:
    there = daemon(TAKES_ORDER, TELLS_DONE)
    panel = signing.load_endorsement(house.folder / "keys" / signing.PANEL_ENDORSEMENT)
    revoked = {panel.key_id: clock() - timedelta(seconds=1)}
    relay = LiveCallRelay("node1", house.spool, house.services.root, clock, entropy, revoked=lambda: revoked)
    relay.turn()
    request_command(house, call.name, "mark")
    relay.turn()
    assert there.request_log == []


def test_refuses_to_sign_with_a_key_not_endorsed_for_commands(house, relay, call) -> None:
    relay.turn()
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
    with expect_error(SealError, "seal.endorsement_use"):
        request_command(house, call.name, "mark", signer=other)


def test_removes_a_call_that_has_ended(house, relay, call, clock) -> None:
    relay.look()
    assert queries.live_calls(house.tenant, clock())
    layout.append_marker(call, Marker(clock(), "paused", {"seconds": "120"}))
    relay.look()
    (row,) = queries.live_calls(house.tenant, clock())
    assert row.paused_until == clock() + timedelta(seconds=120)
    layout.close_take(call, CallEnd("recorded", None, clock(), None))
    relay.look()
    assert queries.live_calls(house.tenant, clock()) == ()


def test_keep_question_is_in_the_row_with_its_answer(house, relay, call, clock) -> None:
    def question() -> tuple[object, str | None]:
        relay.look()
        (row,) = queries.live_calls(house.tenant, clock())
        return row.keep_asked_at, row.keep_answer

    def happens(kind: str, **data: str) -> None:
        layout.append_marker(call, Marker(clock(), kind, data))

    assert question() == (None, None)
    first = clock()
    happens("keep_question_asked", how="question")
    assert question() == (first, None)
    happens("keep_question_heard")
    assert question() == (first, None)
    happens("keep_question_interrupted")
    assert question() == (first, "none")
    clock.forward(seconds=9)
    again = clock()
    happens("keep_question_asked", how="question")
    assert question() == (again, None)
    happens("keep_question_answered", answer="yes", by="external", how="key")
    assert question() == (again, "yes")


def ended(house) -> list[str]:
    """The ids of the customer's calls that are being stored."""
    return [row.id for row in queries.ended_calls(house.tenant, house.clock())]


def test_call_is_being_stored_from_its_hang_up_until_it_is_listed(house, relay, call, clock) -> None:
    relay.look()
    assert ended(house) == []
    clock.forward(seconds=40)
    layout.append_marker(call, Marker(clock(), "hangup"))
    relay.look()  # the daemon has not written the end yet
    assert ended(house) == [call.name]
    clock.forward(seconds=2)
    layout.close_take(call, CallEnd("recorded", None, clock(), None))
    relay.look()
    (row,) = queries.ended_calls(house.tenant, clock())
    assert (row.number, row.announced, row.ended_at) == (house.line.number, True, clock())
    assert queries.live_calls(house.tenant, clock()) == ()
    layout.remove_take(layout.RemovableTake(call))
    relay.look()
    assert ended(house) == []


def test_stored_call_is_shown_once(house, relay, clock) -> None:
    """Between the row of its recording and the end of its folder it is in the list already."""
    folder = house.take()
    relay.look()
    assert ended(house) == [folder.name]
    copy = Path(shutil.copytree(folder, house.folder / "copy"))
    house.work(folder)
    assert not folder.exists()
    copy.rename(folder)
    relay.look()
    assert ended(house) == []
    assert queries.ended_call(house.tenant, folder.name, clock()) is None


@pytest.mark.parametrize(
    ("markers", "end"),
    [
        ((), CallEnd("not_recorded", "declined", NOW, None)),
        (("deleted",), CallEnd("not_recorded", "deleted", NOW, None)),
        ((), CallEnd("not_recorded", "not_kept", NOW, None)),
        (("deleted", "hangup"), None),
        (("hangup",), "nobody answered"),
    ],
)
def test_call_that_is_not_kept_is_never_shown(house, relay, clock, markers, end) -> None:
    folder = layout.open_take(house.spool, house.start())
    kinds = ["recording_started", "announcement_finished", *([] if isinstance(end, str) else ["bridged"])]
    for kind in (*kinds, *markers):
        layout.append_marker(folder, Marker(clock(), kind))
    relay.look()
    assert ended(house) == []
    layout.close_take(
        folder, end if isinstance(end, CallEnd) else CallEnd("not_recorded", "deleted", NOW, None)
    )
    relay.look()
    assert ended(house) == []


def test_call_in_quarantine_is_not_being_stored(house, relay, call, clock) -> None:
    layout.close_take(call, CallEnd("recorded", None, clock(), None))
    relay.look()
    assert ended(house) == [call.name]
    layout.quarantine(call, "broken", clock(), None)
    relay.look()
    assert ended(house) == []


def test_unreadable_take_hides_no_other(house, relay, call, clock) -> None:
    layout.close_take(call, CallEnd("recorded", None, clock(), None))
    other = layout.open_take(house.spool, house.start())
    layout.close_take(other, CallEnd("recorded", None, clock(), None))
    (other / layout.CALL).write_text("{")
    relay.look()
    assert ended(house) == [call.name]


def test_newest_of_many_are_listed_and_each_is_read_once(house, relay, clock, monkeypatch) -> None:
    monkeypatch.setattr(duty, "MOST_ENDED", 3)
    folders = []
    for _ in range(5):
        clock.forward(seconds=1)
        folders.append(layout.open_take(house.spool, house.start()))
        layout.append_marker(folders[-1], Marker(clock(), "bridged"))
        layout.close_take(folders[-1], CallEnd("recorded", None, clock(), None))
    reads = []
    read = duty.read_take
    monkeypatch.setattr(duty, "read_take", lambda folder: reads.append(folder.name) or read(folder))
    relay.look()
    relay.look()
    names = [folder.name for folder in folders]
    assert ended(house) == names[:1:-1]
    assert sorted(reads) == names[2:]
    layout.remove_take(layout.RemovableTake(folders[4]))
    relay.look()
    assert ended(house) == names[3:0:-1]


def test_node_that_is_silent_for_a_while_still_has_its_calls(house, relay, call, clock) -> None:
    """A worker that starts again takes longer than a live call lasts in the list."""
    layout.close_take(call, CallEnd("recorded", None, clock(), None))
    relay.look()
    clock.forward(minutes=9)
    queries.drop_old(clock())
    assert ended(house) == [call.name]
    clock.forward(minutes=2)
    assert ended(house) == []
    queries.drop_old(clock())
    assert EndedCallTable.select().count() == 0


def test_lists_again_what_another_worker_dropped(house, relay, call, clock) -> None:
    relay.look()
    clock.forward(minutes=11)
    queries.drop_old(clock())
    relay._seen_due = 0.0
    relay.look()
    assert queries.live_calls(house.tenant, clock())


def test_lists_only_calls_that_are_being_recorded(house, clock) -> None:
    start = house.start()
    markers = tuple(Marker(clock(), kind) for kind in ("recording_started", "announcement_finished"))
    assert live_row(start, markers, clock()) is not None
    assert live_row(house.start(refused="full_disk"), markers, clock()) is None
    assert live_row(house.start(tenant=None), markers, clock()) is None
    for kind in ("deleted", "transferred_externally", "hangup", "recording_stopped"):
        assert live_row(start, (*markers, Marker(clock(), kind)), clock()) is None
    refused = Marker(clock(), "question_answered", {"question": "recording", "answer": "no"})
    assert live_row(house.start(mode="opt-out"), (*markers, refused), clock()) is None
    silent = Marker(clock(), "question_answered", {"question": "recording", "answer": "none"})
    assert live_row(house.start(mode="opt-out"), (*markers, silent), clock()) is not None
    assert live_row(house.start(mode="opt-in"), (silent,), clock()) is None
    begins_anew = (Marker(clock(), "recording_started"), Marker(clock(), "recording_stopped"))
    assert live_row(house.start(at_pickup=True), begins_anew, clock()) is not None


def test_a_pause_without_a_known_start_keeps_its_end(house, clock) -> None:
    start = house.start()
    markers = (Marker(clock(), "announcement_finished"), Marker(clock(), "paused", {"seen": "later"}))
    row = live_row(start, markers, clock())
    assert row.paused(clock())
    assert live_row(start, markers, clock() + timedelta(minutes=1)) == row
