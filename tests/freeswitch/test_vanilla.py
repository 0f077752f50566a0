"""FreeSWITCH's own example configuration with all of its example routes: the doctor's findings, and what is
recorded or listed. The drop-ins are placed as documented, or too late."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recorder import config
from recorder.clock import utc_now
from recorder.ops.doctor import machine, routes
from recorder.ops.doctor.findings import DoctorFinding, Patient, examine
from recorder.processes.services import Context
from recorder.spool import layout
from recorder.spool.snapshot import write_snapshot
from tests.freeswitch import vanilla
from tests.freeswitch.outbound_call import LINE, call_out
from tests.freeswitch.switches import HOME, RATE, CallUnderTest, Rig, free_ports, heard_whole, read_wav, until
from tests.scenarios.files import LOWS, Sounds, chirp

LOCAL, DOMESTIC, TOLL_FREE, ABROAD = "5551201", "12125551201", "18005551201", "0113225551201"
OUTBOUND = {
    LOCAL: "local.example.com",
    DOMESTIC: "domestic.example.com",
    TOLL_FREE: "domestic.example.com",
    ABROAD: "international.example.com",
}
"""Numbers of each of vanilla's routes to the outside."""

INBOUND = {"1001": "public_extensions", "5551212": "public_did"}
"""And of its routes from there that lead to a telephone."""

ANNOUNCEMENT = chirp(low=LOWS["announcement"])
TWO_SECONDS = 2 * 2 * 2 * RATE
"""Bytes of a recording: two channels of two bytes; the announcement takes 1.2 s of it."""
DID_NOT_ASK = ("not_recorded", "dialplan_did_not_ask")
RECORDED = ("recorded", None)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = vanilla.make(tmp_path_factory.mktemp("vanilla"))
    rig.settings["metrics_port"] = free_ports(1)[0]
    sounds = Sounds(rig.snapshot / "prompts")
    lines = [sounds.line("normal", number) for number in INBOUND] + [sounds.line("out", LINE)]
    write_snapshot(rig.snapshot, lines, [], utc_now())
    try:
        vanilla.start(rig)
        yield rig
    finally:
        rig.stop()


def put(rig: Rig, where: Callable[[Path], None]) -> Rig:
    rig.hang_up_all()
    for path in rig.spool.glob(f"*/{layout.END}"):
        shutil.rmtree(path.parent)
    where(rig.switch.conf)
    assert "+OK" in rig.switch.esl.api("reloadxml")
    return rig


@pytest.fixture
def placed(started: Rig) -> Rig:
    return put(started, vanilla.place)


@pytest.fixture
def misplaced(started: Rig) -> Rig:
    return put(started, vanilla.misplace)


def doctor(rig: Rig) -> list[DoctorFinding]:
    environment = {
        **rig.environment,
        "ACCORD_NODE_DATA": str(rig.folder / HOME),
        "ACCORD_METRICS_DAEMON_PORT": str(rig.settings["metrics_port"]),
    }
    patient = Patient(Context(config.load(None, environment), None), utc_now)
    return [
        each
        for check in (routes.routes, machine.daemon, machine.readiness)
        for each in examine(check, patient)
    ]


def outcome(rig: Rig, call: CallUnderTest) -> tuple[str, str | None]:
    """Return the outcome of a call, once both have spoken."""
    until("they are connected", lambda: call.heard_by_caller.exists(), 20)
    until("something is written of it", lambda: call.take() is not None, 10)
    folder = call.take()
    assert folder is not None
    if layout.read_start(folder).refused is None:
        until("they are connected", lambda: "bridged" in call.markers_now(), 20)
        until("both have spoken", lambda: (folder / layout.AUDIO).stat().st_size > TWO_SECONDS, 20)
    call.hang_up()
    take = call.wait_take()
    if take.end.outcome == "recorded":
        assert heard_whole(read_wav(take.audio)[:, 1], ANNOUNCEMENT)
    else:
        assert not take.audio.exists()
    return take.end.outcome, take.end.reason


@pytest.mark.parametrize("number", INBOUND)
def test_documented_placement_records_every_inbound_route(placed: Rig, number: str) -> None:
    assert outcome(placed, placed.call(number)) == RECORDED


@pytest.mark.parametrize("number", OUTBOUND)
def test_documented_placement_records_every_outbound_route(placed: Rig, number: str) -> None:
    assert outcome(placed, call_out(placed, number)) == RECORDED


def test_documented_placement_passes_the_doctor(placed: Rig) -> None:
    found = [each for each in doctor(placed) if each.what.startswith("routes")]
    assert {each.state for each in found} == {"warning"}, found
    assert len(found) == 2
    assert all("(dialplan/default.xml)" in each.what for each in found), found


@pytest.mark.parametrize(("number", "expected"), [("1001", DID_NOT_ASK), ("5551212", RECORDED)])
def test_late_placement_lists_bypassed_inbound_calls(
    misplaced: Rig, number: str, expected: tuple[str, str | None]
) -> None:
    call = misplaced.call(number)
    assert outcome(misplaced, call) == expected
    take = call.wait_take()
    assert (take.start.direction, take.start.number) == ("inbound", number)
    assert take.start.external_party.value.endswith(call.caller)


@pytest.mark.parametrize("number", OUTBOUND)
def test_late_placement_lists_bypassed_outbound_calls(misplaced: Rig, number: str) -> None:
    call = call_out(misplaced, number)
    assert outcome(misplaced, call) == DID_NOT_ASK
    start = call.wait_take().start
    assert (start.direction, start.number, start.external_party.value) == ("outbound", LINE, number)


def test_late_placement_is_reported_by_the_doctor(misplaced: Rig) -> None:
    assert outcome(misplaced, call_out(misplaced, DOMESTIC)) == DID_NOT_ASK

    def reports_call() -> bool:
        return any("connected without asking Accord" in each.what for each in doctor(misplaced))

    until("the doctor reports the call: the daemon's answer may be five seconds old", reports_call, 20)
    found = {each.what: each for each in doctor(misplaced)}
    wrong = [what for what, each in found.items() if each.state == "wrong" and what.startswith("routes")]
    assert len(wrong) == 4, wrong
    for extension, file in [
        ("public_extensions", "dialplan/public.xml"),
        *((name, "dialplan/default/01_example.com.xml") for name in sorted(set(OUTBOUND.values()))),
    ]:
        (finding,) = [what for what in wrong if f"'{extension}'" in what and file in what]
        assert ("accord/inbound.xml" in found[finding].hint) is (extension == "public_extensions")
        assert ("00_accord.xml" in found[finding].hint) is (extension != "public_extensions")


@pytest.mark.parametrize("where", [vanilla.place, vanilla.misplace])
def test_internal_call_is_neither_recorded_nor_listed(started: Rig, where: Callable[[Path], None]) -> None:
    inside = call_out(put(started, where), "1001")
    until("they are connected", lambda: inside.heard_by_caller.exists(), 20)
    # What the daemon is told of a later call, it is told after this one.
    assert outcome(started, started.call("5551212")) == RECORDED
    assert len(list(started.spool.glob(f"*/{layout.CALL}"))) == 1


def test_next_daemon_lists_a_bypassed_call_once(misplaced: Rig) -> None:
    misplaced.kill_daemon()
    calls: list[CallUnderTest] = [misplaced.call("1001"), call_out(misplaced, DOMESTIC)]
    for call in calls:
        until("they are connected", lambda call=call: call.heard_by_caller.exists(), 20)
    for _ in range(2):
        misplaced.start_daemon()
        misplaced.wait_watching()
        for call in calls:
            until("it is followed", lambda call=call: call.take() is not None, 10)
    for call in calls:
        call.hang_up()
        take = call.wait_take()
        assert (take.end.outcome, take.end.reason) == DID_NOT_ASK
    outside = [
        layout.read_start(path.parent).external_party.value
        for path in misplaced.spool.glob(f"*/{layout.CALL}")
    ]
    assert len([each for each in outside if each.endswith(calls[0].caller)]) == 1


def test_doctor_names_the_key_that_starts_vanillas_own_recording(placed: Rig) -> None:
    environment = {**placed.environment, "ACCORD_NODE_DATA": str(placed.folder / HOME)}
    found = list(examine(routes.recordings, Patient(Context(config.load(None, environment), None), utc_now)))
    assert "'Local_Extension' of context 'default'" in " ".join(each.what for each in found)
    assert {each.state for each in found} == {"warning"}
