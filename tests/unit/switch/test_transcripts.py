"""Transcripts of a real FreeSWITCH, read by the production code."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC
from pathlib import Path

import pytest

from recorder.domain import call_events
from recorder.switch.esl_events import EslEvent, Reply
from recorder.switch.framing import EVENT, Frame, Framer
from recorder.switch.outbound_socket import Arrival
from recorder.switch.standing_connection import channels, recordings
from recorder.switch.translation import translate

TRANSCRIPTS = sorted((Path(__file__).parents[2] / "scenarios" / "transcripts").glob("*.jsonl.gz"))


def name_of(path: Path) -> str:
    return path.name.removesuffix(".jsonl.gz")


CALLS = [path for path in TRANSCRIPTS if path.name.startswith("call.")]

# Every command of commands.py; FreeSWITCH received no other.
COMMAND = re.compile(
    r"connect|exit|auth \S+|filter Unique-ID \S+|event plain [A-Z_]+( [A-Z_]+)*( CUSTOM( \w+::\w+)+)?"
    r"|sendmsg\ncall-command: execute\nexecute-app-name: (multiset|set|execute_extension)\n"
    r"execute-app-arg: [^\n]+(\nEvent-UUID: \S+)?\nevent-lock: true"
    r"|api (status|show channels as json|conference json_list"
    r"|uuid_buglist \S+|uuid_dump \S+|uuid_getvar \S+ \w+"
    r"|uuid_setvar \S+ accord_(recording \S+|seconds \d+|(audio|prompt) /[^\n]+)"
    r"|expand uuid_answer \$\{cond\(\$\{uuid_getvar\((\S+) accord_state\)\} == waiting \? \S+ : none\)\}"
    r"|global_setvar accord_key_\w+=\w+"
    r"|uuid_record \S+ stop '[^'\n]+'"
    r"|module_exists \w+|xml_locate (dialplan|\w+ \w+ \w+ \S+)|global_getvar \w+|file_exists /[^\n]+)"
)


def bytes_from(path: Path, who: str) -> list[bytes]:
    lines = map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
    return [line["bytes"].encode("latin-1") for line in lines if line["from"] == who]


def frames(path: Path) -> list[Frame]:
    framer = Framer()
    found = [frame for piece in bytes_from(path, "switch") for frame in framer.feed(piece)]
    assert framer.error is None
    assert framer.incomplete_bytes == 0
    return found


def events(path: Path) -> list[EslEvent]:
    return [EslEvent(frame.body) for frame in frames(path) if frame.kind == EVENT]


def test_transcripts_exist() -> None:
    assert len(CALLS) >= 3
    assert len(TRANSCRIPTS) > len(CALLS)


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=name_of)
def test_reads_every_frame_and_header(path: Path) -> None:
    for event in events(path):
        lines = [line.split(b": ", 1) for line in event.raw.split(b"\n\n")[0].split(b"\n") if line]
        assert len(event.headers) == len({name for name, _ in lines})
        assert event.name
        assert event.sequence > 0
        assert event.at.year >= 2026


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=name_of)
def test_every_command_is_known_and_has_a_reply(path: Path) -> None:
    commands_sent = b"".join(bytes_from(path, "daemon")).decode().split("\n\n")
    assert commands_sent.pop() == ""
    for command in commands_sent:
        assert COMMAND.fullmatch(command), command
    replies = [frame for frame in frames(path) if frame.kind in (b"command/reply", b"api/response")]
    # A switch that has hung up sends a disconnect notice instead of answering ``exit``.
    hung_up = (
        any(frame.kind == b"text/disconnect-notice" for frame in frames(path)) and commands_sent[-1] == "exit"
    )
    assert len(replies) in ({len(commands_sent), len(commands_sent) - 1} if hung_up else {len(commands_sent)})
    refused = {Reply(frame).data for frame in replies if Reply(frame).refused}
    assert refused <= {"-ERR conference Command not found!"}, "mod_conference is not loaded there"


@pytest.mark.parametrize("path", CALLS, ids=name_of)
def test_call_arrives_waiting_on_its_line(path: Path) -> None:
    assert b"".join(bytes_from(path, "daemon")).startswith(b"connect\n\n")
    headers = Reply(frames(path)[0]).headers
    arrival = Arrival.of(headers)
    assert arrival.state == "waiting"
    assert arrival.line == headers["Caller-Destination-Number"] == headers["variable_accord_destination"]
    assert arrival.direction == "inbound"
    assert {event.uuid for event in events(path)} == {arrival.channel}


def test_order_of_an_announced_call() -> None:
    (path,) = (path for path in CALLS if name_of(path) == "call.announced")
    received = events(path)
    names = [(event.name, event.header("Application")) for event in received]
    order = [
        ("RECORD_START", ""),
        ("PLAYBACK_START", ""),
        ("CHANNEL_EXECUTE_COMPLETE", "playback"),
    ]
    positions = [names.index(step) for step in order]
    assert positions == sorted(positions)
    start = received[positions[0]]
    assert start.header("Record-File-Path").startswith("/tmp/accord/data of the node/spool/")
    assert start.recording_variable("accord_recording") in start.header("Record-File-Path")
    assert received[positions[2]].header("Application-Response") == "FILE PLAYED"
    assert received[-1].variable("accord_state") == "announced"


def test_standing_connection_reconciles_before_events() -> None:
    (path,) = (path for path in TRANSCRIPTS if name_of(path) == "standing")
    commands_sent = b"".join(bytes_from(path, "daemon")).decode().split("\n\n")
    first = [command for command in commands_sent if command.startswith("api ")].index(
        "api show channels as json"
    )
    answers = [Reply(frame).data for frame in frames(path) if frame.kind == b"api/response"]
    assert channels(answers[first]) == []
    assert recordings(answers[first]) == ()
    names = [event.name for event in events(path)]
    assert names.count("RECORD_STOP") == names.count("RECORD_START") == 3
    assert names.count("CHANNEL_BRIDGE") >= 2


@pytest.mark.parametrize(
    ("name", "expected_events"),
    [
        ("announced", "RecordingStarted PlaybackStarted PlaybackEnded+"),
        (
            "hold_in_announcement",
            "RecordingStarted PlaybackStarted HoldStarted HoldEnded PlaybackEnded+ "
            "PlaybackStarted PlaybackEnded+",
        ),
        (
            "hung_up_in_announcement",
            "RecordingStarted PlaybackStarted PlaybackEnded- RecordingStopped CallHungUp",
        ),
    ],
)
def test_translates_the_events_of_a_call(name: str, expected_events: str) -> None:
    """``+``: a sound that ended by itself; ``-``: one that was cut."""
    (path,) = (path for path in CALLS if name_of(path) == f"call.{name}")
    found = [
        translated
        for translated in map(translate, events(path))
        if not isinstance(translated, call_events.StateReported | None)
    ]
    words = [
        type(translated).__name__
        + (("-", "+")[translated.complete] if isinstance(translated, call_events.PlaybackEnded) else "")
        for translated in found
    ]
    assert " ".join(words) == expected_events
    assert {translated.state for translated in found} == {"announcing"}
    assert all(translated.at.tzinfo is UTC for translated in found)


def start_of_recording() -> EslEvent:
    (path,) = (path for path in CALLS if name_of(path) == "call.announced")
    return next(event for event in events(path) if event.name == "RECORD_START")


@pytest.mark.parametrize(("channels", "cause"), [(b"1", ""), (b"2", call_events.STEREO)])
def test_stereo_leg_is_a_problem(channels: bytes, cause: str) -> None:
    line = b"variable_rtp_use_codec_channels: "
    event = EslEvent(b"\n" + start_of_recording().raw.replace(line + b"1", line + channels))
    translated = translate(event)
    assert translated is not None
    assert (type(translated), translated.problem) == (call_events.RecordingStarted, cause)


def test_fax_is_reported_with_the_end_of_the_recording() -> None:
    ended = start_of_recording().raw.replace(b"Event-Name: RECORD_START", b"Event-Name: RECORD_STOP")
    faxed = ended.replace(b"variable_accord_line:", b"variable_has_t38: true\nvariable_accord_line:", 1)
    for raw, fax in ((ended, False), (faxed, True)):
        translated = translate(EslEvent(b"\n" + raw))
        assert translated is not None
        assert (type(translated), translated.fax) == (call_events.RecordingStopped, fax)


@pytest.mark.parametrize("name", [b"RECORD_START", b"RECORD_STOP"])
def test_codec_change_continues_the_recording(name: bytes) -> None:
    raw = b"\n" + start_of_recording().raw.replace(b"Event-Name: RECORD_START", b"Event-Name: " + name)
    assert translate(EslEvent(raw)) is not None
    changed_codec = raw.replace(
        b"variable_accord_line:", b"variable_accord_turning: 16000\nvariable_accord_line:", 1
    )
    translated = translate(EslEvent(changed_codec))
    assert (translated and type(translated)) == (
        call_events.CodecChanged if name == b"RECORD_START" else None
    )


@pytest.mark.parametrize("name", [b"RECORD_START", b"RECORD_STOP"])
def test_reopening_for_a_repeated_prompt_continues_the_recording(name: bytes) -> None:
    raw = b"\n" + start_of_recording().raw.replace(b"Event-Name: RECORD_START", b"Event-Name: " + name)
    reopened = raw.replace(
        b"variable_accord_line:", b"variable_accord_turning: again\nvariable_accord_line:", 1
    )
    assert translate(EslEvent(reopened)) is None
