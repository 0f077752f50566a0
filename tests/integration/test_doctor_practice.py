"""The practice switch answers the doctor as the real one did in a transcript."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import gevent
import pytest
from gevent import socket

from demo.practice.switch import PracticeSwitch
from recorder import config
from recorder.capture.admission import key_variable
from recorder.clock import utc_now
from recorder.ops.doctor import outbound, rooms, routes, switch
from recorder.ops.doctor.findings import Check, DoctorFinding, NotChecked, Patient
from recorder.processes.services import Context
from tests.scenarios.broken_dialplans import BROKEN_OUTWARD, BROKEN_ROUTES, FAULTS, DialplanFault, apply, copy
from tests.scenarios.files import write_snapshot
from tests.scenarios.practice_driver import PracticeDriver
from tests.scenarios.transcript import TRANSCRIPTS

PASSWORD = "only-for-this-test-1"


def messages_of(who: str) -> str:
    lines = gzip.decompress((TRANSCRIPTS / "doctor.jsonl.gz").read_bytes()).splitlines()
    pieces = [json.loads(line) for line in lines]
    return "".join(each["bytes"] for each in pieces if each["from"] == who)


def api_commands() -> list[str]:
    """The ``api`` commands of the transcript, in order."""
    return re.findall(r"(?m)^api (.*)$", messages_of("daemon"))


def answered() -> list[str]:
    """The real switch's answers to them."""
    text, at, answers = messages_of("switch"), 0, []
    while (found := re.compile(r"api/response\nContent-Length: (\d+)\n\n").search(text, at)) is not None:
        at = found.end() + int(found[1])
        answers.append(text[found.end() : at])
    return answers


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return copy(tmp_path)


@pytest.fixture
def practice(conf: Path, tmp_path: Path) -> Iterator[PracticeSwitch]:
    environment = {
        # As on the real switch of the transcript.
        "ACCORD_PAUSE_SECONDS": "6",
        "ACCORD_EXTERNAL_NUMBER": r"^(\+?322550100(97|98))$",
        "ACCORD_SWITCH_PASSWORD": PASSWORD,
        "ACCORD_NEVER_RECORD": r"^(\+?32255010099)$",
        "ACCORD_INFO_PROMPTS": str(tmp_path / "snapshot" / "info_prompts"),
    }
    with PracticeSwitch(
        password=PASSWORD, daemon="127.0.0.1:8084", conf=conf, environment=environment
    ) as practice_switch:
        yield practice_switch


def test_answers_have_the_real_shape(practice: PracticeSwitch) -> None:
    assert len(api_commands()) == len(answered()) > 10
    for command, real in zip(api_commands(), answered(), strict=True):
        ours = practice.api(command)
        if real.lstrip().startswith("<"):
            assert shape(ours) == shape(real), command
        elif command == "status":
            assert re.match("UP 0 years, ", ours)
            assert re.match("UP 0 years, ", real)
        elif command.startswith(("file_exists", "global_getvar")):
            continue  # of another machine's files; below
        else:
            assert ours == real, command


def shape(xml: str) -> list[tuple[str, ...]]:
    """Every element with its attributes, but for the addresses of the machine and the way on."""
    found = []
    for each in ElementTree.fromstring(xml).iter():
        values = {key: re.sub(r"127\.0\.0\.1:\d+", "<address>", value) for key, value in each.items()}
        values = {key: re.sub(r"^/.*/info_prompts/", "<folder>/", value) for key, value in values.items()}
        if each.get("name") == "listen-port":
            values["value"] = "<port>"
        found.append((each.tag, *(f"{key}={value}" for key, value in sorted(values.items()))))
    return found


def test_missing_channels_are_answered_alike(practice: PracticeSwitch, tmp_path: Path) -> None:
    """As FreeSWITCH 1.11 answers: with words, not ``-ERR``."""
    assert practice.api("xml_locate dialplan context name nowhere") == "can't find anything\n"
    assert practice.api("global_getvar nowhere") == "-ERR no reply\n"
    assert practice.api(f"file_exists {tmp_path}/nowhere") == "false"
    assert practice.api(f"file_exists {tmp_path}") == "true"


CHECKS = (
    switch.switch,
    switch.event_socket,
    switch.dialplan,
    switch.guards,
    outbound.outbound,
    routes.routes,
    switch.recording,
)


def examine(
    practice: PracticeSwitch, folder: Path, checks: Sequence[Check] = CHECKS, **more: str
) -> list[DoctorFinding]:
    """Run checks in this thread, whose hub runs the practice switch."""
    (folder / "spool").mkdir(exist_ok=True)
    environment = {
        "ACCORD_NODE_DATA": str(folder),
        "ACCORD_SWITCH_PASSWORD": PASSWORD,
        "ACCORD_SWITCH_PORT": str(practice.event_port),
        **more,
    }
    patient = Patient(Context(config.load(None, environment), None), utc_now)
    with gevent.Timeout(20):
        return [finding for check in checks for finding in check(patient)]


ROOMS = {"ACCORD_ROOMS_NUMBER": "+3225550199"}


def test_callers_to_rooms_get_there_or_the_doctor_says_what_is_missing(conf: Path, tmp_path: Path) -> None:
    def found(**environment: str) -> list[str]:
        with PracticeSwitch(
            password=PASSWORD, daemon="127.0.0.1:8084", conf=conf, environment=environment
        ) as practice:
            return [each.what for each in examine(practice, tmp_path, (rooms.dial_in,), **ROOMS)]

    prompts = {"ACCORD_ROOM_PROMPTS": str(tmp_path / "snapshot" / "room_prompts")}
    complete = found(**prompts, ACCORD_ROOM_NUMBER=r"^\+?3225550199$")
    assert complete == ["dial-in: the switch holds conferences for callers of +3225550199"]
    assert [each.partition(":")[2][:24] for each in found()] == [
        " what callers hear is no", " no extension brings cal", " the switch holds confer"
    ]  # fmt: skip
    assert any("every number" in each for each in found(**prompts, ACCORD_ROOM_NUMBER=""))
    conference = conf / "autoload_configs/conference.conf.xml"
    conference.write_text(conference.read_text().replace('profile name="accord_room"', 'profile name="own"'))
    assert "no conference profile" in found(**prompts)[-1]
    (conf / "dialplan/accord_room.xml").unlink()
    assert found(**prompts) == ["dial-in: the dialplan lacks the context accord_room"]


def test_doctor_has_no_findings(practice: PracticeSwitch, tmp_path: Path) -> None:
    write_snapshot(tmp_path / "snapshot", {"normal": "32225501010", "never_record": "32225501011"})
    found = examine(practice, tmp_path)
    assert {each.state for each in found} == {"ok"}, found


def test_doctor_reports_silent_colleagues(conf: Path, tmp_path: Path) -> None:
    with PracticeSwitch(password=PASSWORD, daemon="127.0.0.1:8084", conf=conf) as practice:
        bad = [each for each in examine(practice, tmp_path) if each.state != "ok"]
    (found,) = [each for each in bad if "information prompts" in each.what]
    assert (found.state, "/var/lib/accord/snapshot/info_prompts" in found.what) == ("warning", True)
    assert str(tmp_path / "snapshot" / "info_prompts") in found.hint


def test_doctor_finds_faults_in_the_dialplan(conf: Path, tmp_path: Path) -> None:
    apply(conf, FAULTS[0])
    with PracticeSwitch(password=PASSWORD, daemon="127.0.0.1:8084", conf=conf) as practice:
        bad = [each.what for each in examine(practice, tmp_path) if each.state != "ok"]
    assert any(FAULTS[0].says in each for each in bad), bad


def test_doctor_finds_faults_in_the_outbound_dialplan(conf: Path, tmp_path: Path) -> None:
    apply(conf, BROKEN_OUTWARD[-1])
    with PracticeSwitch(password=PASSWORD, daemon="127.0.0.1:8084", conf=conf) as practice:
        bad = [each.what for each in examine(practice, tmp_path) if each.state == "wrong"]
    assert any(BROKEN_OUTWARD[-1].says in each for each in bad), bad


@pytest.mark.parametrize("fault", BROKEN_ROUTES, ids=lambda fault: fault.name)
def test_doctor_finds_routes_ahead_of_accord(conf: Path, tmp_path: Path, fault: DialplanFault) -> None:
    write_snapshot(tmp_path / "snapshot", {"out": "32225501010", "never_record": "32225501011"})
    with PracticeSwitch(password=PASSWORD, daemon="127.0.0.1:8084", conf=conf) as practice:
        fine = [each for each in examine(practice, tmp_path) if each.what.startswith("routes")]
    apply(conf, fault)
    with PracticeSwitch(password=PASSWORD, daemon="127.0.0.1:8084", conf=conf) as practice:
        (bad,) = [each for each in examine(practice, tmp_path) if each.what.startswith("routes")]
    assert [each.state for each in fine] == ["ok"]
    assert bad.state == "wrong"
    assert fault.says in bad.what
    assert bad.hint


def test_doctor_reports_missing_outbound_routes(conf: Path, tmp_path: Path) -> None:
    (conf / "dialplan/outbound/10_accord.xml").unlink()
    with PracticeSwitch(password=PASSWORD, daemon="127.0.0.1:8084", conf=conf) as practice:
        fine = [each for each in examine(practice, tmp_path) if each.what.startswith("outbound")]
        numbers = {"out": "+3222550101", "never_record": "+3222550102"}
        write_snapshot(tmp_path / "snapshot", numbers)
        bad = [each for each in examine(practice, tmp_path) if each.what.startswith("outbound")]
    assert [each.state for each in fine] == ["ok"]
    assert [each.state for each in bad] == ["wrong"]
    assert "1 lines record outbound calls" in bad[0].what


def test_silent_switch_is_reported(tmp_path: Path) -> None:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    settings = {"ACCORD_SWITCH_PASSWORD": PASSWORD, "ACCORD_SWITCH_PORT": str(server.getsockname()[1])}
    settings |= {"ACCORD_NODE_DATA": str(tmp_path), "ACCORD_SWITCH_COMMAND_TIMEOUT": "0.3"}
    patient = Patient(Context(config.load(None, settings), None), utc_now)
    from recorder.ops.doctor import findings

    found = list(findings.examine(switch.switch, patient))
    server.close()
    assert [each.state for each in found] == ["wrong"]
    assert "took longer than 0.3 s" in found[0].what


def test_doctor_reports_a_daemon_key_missing_in_the_switch(tmp_path: Path) -> None:
    driver = PracticeDriver(tmp_path)
    settings = {
        "ACCORD_NODE_DATA": str(tmp_path),
        "ACCORD_NODE_NAME": "test",
        "ACCORD_SWITCH_PASSWORD": PASSWORD,
        "ACCORD_SWITCH_PORT": str(driver.switch.event_port),
    }
    patient = Patient(Context(config.load(None, settings), None), utc_now)
    there = driver.switch.dialplan.globals
    try:
        with pytest.raises(NotChecked, match="no daemon runs"):
            list(switch.key(patient))
        driver.daemon("start")
        fine = list(switch.key(patient))
        value = there.pop(key_variable("test"))
        bad = list(switch.key(patient))
    finally:
        driver.close()
    assert [each.state for each in fine] == ["ok"]
    assert [each.state for each in bad] == ["warning"]
    assert "asks the switch about each call" in bad[0].what
    assert "esl-allowed-api" in bad[0].hint
    assert value not in repr([fine, bad])
