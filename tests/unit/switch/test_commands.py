"""The end of each command, and the arguments that are rejected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.errors import SwitchError
from recorder.switch import commands
from tests.expected_errors import expect_error
from tests.golden.switch import SAMPLES

ID = "0193a1b2-0000-7000-8000-0123456789ab"
CHANNEL = "873a1427-8f7f-4b00-83d5-6d255c9eb4f3"
AUDIO = Path(f"/var/spool/accord/{ID}/audio.wav")


def test_no_command_ends_early() -> None:
    """Their bytes are in ``tests/golden/switch_commands.txt``. An empty line ends a command."""
    for function, samples in SAMPLES.items():
        for arguments in samples:
            result = function(*arguments)
            for command in result if isinstance(result, list) else [result]:
                assert command.wire == command.text.encode() + b"\n\n"
                assert b"\n\n" not in command.wire[:-2]


HOSTILE = [
    "a\nb",
    "a\n\napi shutdown",
    "a\rb",
    "a\0b",
    "${system(reboot)}",
    "$${x}",
    "$1",
    "it's",
    'say "x"',
    "back\\slash",
    "{a=b}",
    "a`b",
    "x" * 2000,
]

FREE = {(commands.auth, 0), (commands.execute, 1)}
"""Arguments that may have any character in one line: a password, and what an extension is given."""

TEXTS = [
    (function, arguments, at)
    for function, samples in SAMPLES.items()
    for arguments in samples
    for at, argument in enumerate(arguments)
    if isinstance(argument, str | Path) and (function, at) not in FREE
]


@pytest.mark.parametrize(("function", "arguments", "at"), TEXTS)
def test_rejects_hostile_arguments(
    function: Callable[..., object], arguments: tuple[object, ...], at: int
) -> None:
    for text in HOSTILE:
        hostile = Path("/") / text if isinstance(arguments[at], Path) else text
        with expect_error(SwitchError, "switch.argument"):
            function(*arguments[:at], hostile, *arguments[at + 1 :])


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text)[:20])
def test_rejects_hostile_event_names(text: str) -> None:
    for names in ([text], []), (["DTMF"], [text]):
        with expect_error(SwitchError, "switch.argument"):
            commands.subscribe(*names)


@pytest.mark.parametrize(
    "path", ["relative.wav", "/a/../etc/passwd", "/a;b", "/a|b", "/a,b", "/a:b", "/a\x1b", "/a "]
)
def test_rejects_foreign_paths(path: str) -> None:
    with pytest.raises(SwitchError):
        commands.record_stop(CHANNEL, Path(path))


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_schedule_requires_1_to_3600_seconds(seconds: int) -> None:
    with pytest.raises(SwitchError):
        commands.schedule(seconds, "r", commands.status())


def test_schedules_only_api_commands() -> None:
    with pytest.raises(SwitchError):
        commands.schedule(1, "r", commands.leave())


@pytest.mark.parametrize("application", ["answer", "set", "record_session", "hangup", "system", ""])
def test_executes_no_application_but_execute_extension(application: str) -> None:
    with pytest.raises(SwitchError):
        commands.execute(application, "a")


def test_call_out_avoids_every_dialplan() -> None:
    sound = Path("/var/spool/accord/.outgoing/a.wav")
    assert commands.call_out("sofia/gateway/out/{number}", "+32470123456", sound, "3225550100", 40).wire == (
        b"api originate {ignore_early_media=true,originate_timeout=40,"
        b"origination_caller_id_number=3225550100,origination_caller_id_name=3225550100}"
        b"sofia/gateway/out/+32470123456 '&playback(/var/spool/accord/.outgoing/a.wav)'\n\n"
    )
    command = commands.call_out("sofia/external/{digits}@192.0.2.1:5060", "+32470123456", sound, "", 40)
    assert "}sofia/external/32470123456@192.0.2.1:5060 '" in command.text


def test_call_to_a_room_goes_to_its_extension_and_names_the_number() -> None:
    command = commands.call_to_room("sofia/gateway/out/{number}", "+32470123456", "fr", "", 40)
    assert command.text == (
        "api originate {ignore_early_media=true,originate_timeout=40,"
        "accord_room_callee=+32470123456,accord_room_language=fr}"
        "sofia/gateway/out/+32470123456 accord_room_called XML accord_room"
    )


@pytest.mark.parametrize("language", ["", "fr,x=y", "../x", "fr\n", "FR"])
def test_call_to_a_room_takes_a_language_alone(language: str) -> None:
    with pytest.raises(SwitchError):
        commands.call_to_room("sofia/gateway/out/{number}", "+32470123456", language, "", 40)


@pytest.mark.parametrize(
    ("dial", "number", "caller", "seconds"),
    [
        ("", "+32470123456", "", 40),
        ("loopback/{number}", "+32470123456", "", 40),
        ("sofia/gateway/out/32470123456", "+32470123456", "", 40),
        ("sofia/gateway/out/{number}{number}", "+32470123456", "", 40),
        ("sofia/gateway/out/{number} &park()", "+32470123456", "", 40),
        ("{x=y}sofia/gateway/out/{number}", "+32470123456", "", 40),
        ("sofia/gateway/out/{number},user/1001", "+32470123456", "", 40),
        ("sofia/gateway/out/{number}|user/1001", "+32470123456", "", 40),
        ("sofia/gateway/${x}/{number}", "+32470123456", "", 40),
        ("sofia/gateway/out/{number}", "32470123456", "", 40),
        ("sofia/gateway/out/{number}", "+0470123456", "", 40),
        ("sofia/gateway/out/{number}", "+3247012345\u0666", "", 40),
        ("sofia/gateway/out/{number}", "+32470123456\n", "", 40),
        ("sofia/gateway/out/{number}", "+32470123456", "1,x=y", 40),
        ("sofia/gateway/out/{number}", "+32470123456", "", 600),
    ],
)
def test_call_out_rejects_other_dial_strings(dial: str, number: str, caller: str, seconds: int) -> None:
    with pytest.raises(SwitchError):
        commands.call_out(dial, number, Path("/a.wav"), caller, seconds)


@pytest.mark.parametrize("password", ["", "a\nb", "a\n\nexit", "x" * 300, "tab\t"])
def test_password_is_one_line(password: str) -> None:
    with pytest.raises(SwitchError):
        commands.auth(password)


def test_password_is_hidden_in_logs() -> None:
    assert "word" not in str(commands.auth("s3cret:word"))
    assert "word" not in repr(commands.auth("s3cret:word"))


@pytest.mark.parametrize("seconds", [0, -1, 601])
def test_linger_is_bounded(seconds: int) -> None:
    with pytest.raises(SwitchError):
        commands.linger(seconds)


def test_subscribe_requires_an_event() -> None:
    with pytest.raises(SwitchError):
        commands.subscribe([])
