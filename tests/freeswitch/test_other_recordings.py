"""A recording by the telephone system itself, on a real switch: it is noticed whenever it began, and the
doctor names the extension."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import config
from recorder.clock import utc_now
from recorder.ops.doctor import routes
from recorder.ops.doctor.findings import Patient, examine
from recorder.processes.services import Context
from tests.freeswitch.lines import configuration, extension
from tests.freeswitch.switches import NUMBER, CallUnderTest, Rig, read_wav, until

BEFORE, BEHIND = f"{NUMBER}41", f"{NUMBER}42"
"""Numbers whose calls the dialplan records ahead of Accord's extension, and behind it."""


@pytest.fixture(scope="module")
def recording_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("other")
    (folder / "pbx").mkdir()
    record = f"record_session:{folder}/pbx/${{uuid}}.wav"
    dialplan = {
        f"public/{name}.xml": extension(f"records_{number}", number, record, goes_on=True)
        for name, number in (("000_before", BEFORE), ("85_behind", BEHIND))
    }
    with Rig(folder / "rig", configuration(folder, dialplan)).run() as rig:
        yield rig


def markers(call: CallUnderTest) -> list[tuple[str, str]]:
    take = call.wait_take()
    return [
        (marker.kind, marker.data["side"])
        for marker in take.markers
        if marker.kind.startswith("other_recording")
    ]


@pytest.mark.parametrize("number", [BEFORE, BEHIND], ids=["before", "behind"])
def test_call_that_the_dialplan_records_too_says_so(recording_rig: Rig, number: str) -> None:
    call = recording_rig.call(number)
    until("they are connected", lambda: "bridged" in call.markers_now(), 30)
    leg = call.leg
    call.hang_up()
    assert markers(call)[0] == ("other_recording_started", "external")
    assert b"call.recorded_elsewhere" in (recording_rig.folder / "daemon.log").read_bytes()
    assert len(read_wav(recording_rig.folder.parent / "pbx" / f"{leg}.wav")) > 0, "it was not recorded twice"


def test_recording_of_the_colleagues_leg_is_marked(recording_rig: Rig, tmp_path: Path) -> None:
    call = recording_rig.call()
    until("they are connected", lambda: "bridged" in call.markers_now(), 30)
    api = recording_rig.switch.esl.api
    inside = api(f"uuid_getvar {call.leg} bridge_uuid")
    path = tmp_path / "pbx.wav"
    assert api(f"uuid_record {inside} start {path}").startswith("+OK")
    until("it is marked", lambda: "other_recording_started" in call.markers_now(), 5)
    api(f"uuid_record {inside} stop {path}")
    until("its end is marked", lambda: "other_recording_stopped" in call.markers_now(), 5)
    call.hang_up()
    assert markers(call) == [("other_recording_started", "internal"), ("other_recording_stopped", "internal")]


@pytest.mark.parametrize("side", ["external", "internal"])
def test_recording_that_began_while_no_daemon_was_there_is_found(
    recording_rig: Rig, tmp_path: Path, side: str
) -> None:
    call = recording_rig.call()
    until("they are connected", lambda: "bridged" in call.markers_now(), 30)
    api = recording_rig.switch.esl.api
    leg = call.leg if side == "external" else api(f"uuid_getvar {call.leg} bridge_uuid")
    recording_rig.kill_daemon()
    assert api(f"uuid_record {leg} start {tmp_path / 'pbx.wav'}").startswith("+OK")
    recording_rig.start_daemon()
    until("it is found", lambda: "other_recording_started" in call.markers_now(), 10)
    call.hang_up()
    assert markers(call)[0] == ("other_recording_started", side)


def test_own_recording_is_none_of_these(recording_rig: Rig) -> None:
    call = recording_rig.call()
    until("they are connected", lambda: "bridged" in call.markers_now(), 30)
    call.hang_up()
    assert markers(call) == []


def test_doctor_names_each_extension_that_records(recording_rig: Rig) -> None:
    patient = Patient(Context(config.load(None, recording_rig.environment), None), utc_now)
    found = list(examine(routes.recordings, patient))
    assert {each.state for each in found} == {"warning"}
    assert all(any(f"records_{number}" in each.what for each in found) for number in (BEFORE, BEHIND))
    assert len(found) == 2
