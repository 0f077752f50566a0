"""The bytes of each command, and the arguments that are rejected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand

ID = "0193a1b2-0000-7000-8000-0123456789ab"
CHANNEL = "873a1427-8f7f-4b00-83d5-6d255c9eb4f3"
AUDIO = Path(f"/var/spool/accord/{ID}/audio.wav")

COMMANDS: list[tuple[SwitchCommand, str]] = [
    (commands.auth("s3cret:word"), "auth s3cret:word"),
    (commands.connect(), "connect"),
    (commands.leave(), "exit"),
    (commands.my_events(), "myevents"),
    (commands.linger(10), "linger 10"),
    (
        commands.subscribe(["DTMF", "CUSTOM", "DTMF"], ["accord::keep"]),
        "event plain DTMF CUSTOM accord::keep",
    ),
    (commands.subscribe(["RECORD_STOP"]), "event plain RECORD_STOP"),
    (commands.only_channel(CHANNEL), f"filter Unique-ID {CHANNEL}"),
    (
        commands.execute_extension("accord_begin"),
        "sendmsg\ncall-command: execute\nexecute-app-name: execute_extension\n"
        "execute-app-arg: accord_begin XML accord\nevent-lock: true",
    ),
    (commands.show_channels(), "api show channels as json"),
    (commands.status(), "api status"),
    (commands.media_bugs(CHANNEL), f"api uuid_buglist {CHANNEL}"),
    (commands.channel_data(CHANNEL), f"api uuid_dump {CHANNEL}"),
    (commands.get_variable(CHANNEL, "accord_state"), f"api uuid_getvar {CHANNEL} accord_state"),
    (commands.put_variable(CHANNEL, "accord_a", "x y"), f"api uuid_setvar {CHANNEL} accord_a x y"),
    (commands.record_stop(CHANNEL, AUDIO), f"api uuid_record {CHANNEL} stop '{AUDIO}'"),
    (
        commands.change_variable(CHANNEL, "accord_state", "announcing", "announced"),
        f"api expand uuid_setvar ${{cond(${{uuid_getvar({CHANNEL} accord_state)}} == announcing "
        f"? {CHANNEL} : none)}} accord_state announced",
    ),
    (
        commands.record_start(CHANNEL, "accord_state", "announcing", AUDIO, "r-1"),
        f"api expand uuid_record ${{cond(${{uuid_getvar({CHANNEL} accord_state)}} == announcing "
        f"? {CHANNEL} : none)}} start '{AUDIO}' 0 "
        "{RECORD_STEREO=true,RECORD_PRE_BUFFER_FRAMES=0,enable_file_write_buffering=false,accord_recording=r-1}",
    ),
    (
        commands.schedule(7, "r-1", commands.record_stop_unless(CHANNEL, "accord_state", "announced", AUDIO)),
        "api sched_api +7 r-1 expand uuid_record "
        f"${{cond(${{uuid_getvar({CHANNEL} accord_state)}} == announced ? none : {CHANNEL})}} stop '{AUDIO}'",
    ),
    (commands.unschedule("r-1"), "api sched_del r-1"),
    (
        commands.pause(CHANNEL, AUDIO, 120)[-1],
        f"api expand uuid_record ${{cond(${{uuid_getvar({CHANNEL} accord_state)}} == announced "
        f"? {CHANNEL} : none)}} mask '{AUDIO}'",
    ),
    (
        commands.pause(CHANNEL, AUDIO, 120)[1],
        f"api sched_api +120 {CHANNEL}_pause uuid_record {CHANNEL} unmask '{AUDIO}'",
    ),
    (
        commands.resume(CHANNEL, AUDIO)[0],
        f"api expand uuid_record ${{cond(${{uuid_getvar({CHANNEL} accord_paused)}} == true "
        f"? {CHANNEL} : none)}} unmask '{AUDIO}'",
    ),
    (
        commands.play_marker_tone(CHANNEL, "accord_state", "announced", "b"),
        f"api expand uuid_displace ${{cond(${{uuid_getvar({CHANNEL} accord_state)}} == announced "
        "? b : none)} start tone_stream://v=-20;%(100,100,700) 0 m",
    ),
    (
        commands.stop_pause_tone("b"),
        "api expand uuid_displace b stop ${global_getvar(accord_pause_tone)}",
    ),
    (commands.end_playback(CHANNEL), f"api uuid_break {CHANNEL}"),
    (commands.end_conference_playback("sales-3"), "api conference sales-3 stop current"),
    (commands.end_conference_playback("sales-3", "7"), "api conference sales-3 stop current 7"),
    (commands.module_exists("mod_sofia"), "api module_exists mod_sofia"),
    (
        commands.locate("configuration", "configuration", "name", "switch.conf"),
        "api xml_locate configuration configuration name switch.conf",
    ),
    (commands.dialplan(), "api xml_locate dialplan"),
    (commands.global_variable("run_dir"), "api global_getvar run_dir"),
    (commands.file_exists(AUDIO), f"api file_exists {AUDIO}"),
]


@pytest.mark.parametrize(("command", "text"), COMMANDS, ids=lambda value: str(value)[:40])
def test_command_bytes(command: SwitchCommand, text: str) -> None:
    assert command.text == text
    assert command.wire == text.encode() + b"\n\n"
    # An empty line would end the command early.
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

BUILDERS: list[Callable[[str], SwitchCommand]] = [
    lambda text: commands.execute_extension(text),
    lambda text: commands.execute_extension("a", text),
    lambda text: commands.execute(text, "a"),
    lambda text: commands.record_stop(CHANNEL, Path("/") / text),
    lambda text: commands.record_stop(text, AUDIO),
    lambda text: commands.change_variable(text, "a", "b", "c"),
    lambda text: commands.change_variable(CHANNEL, text, "b", "c"),
    lambda text: commands.change_variable(CHANNEL, "a", text, "c"),
    lambda text: commands.change_variable(CHANNEL, "a", "b", text),
    lambda text: commands.record_start(CHANNEL, "a", "b", Path("/") / text, "r"),
    lambda text: commands.record_start(CHANNEL, "a", "b", AUDIO, text),
    lambda text: commands.record_stop_unless(text, "a", "b", AUDIO),
    lambda text: commands.record_stop_unless(CHANNEL, "a", text, AUDIO),
    lambda text: commands.schedule(1, text, commands.status()),
    lambda text: commands.unschedule(text),
    lambda text: commands.media_bugs(text),
    lambda text: commands.channel_data(text),
    lambda text: commands.get_variable(text, "a"),
    lambda text: commands.get_variable(CHANNEL, text),
    lambda text: commands.put_variable(CHANNEL, text, "1"),
    lambda text: commands.put_variable(CHANNEL, "a", text),
    lambda text: commands.end_playback(text),
    lambda text: commands.end_conference_playback(text),
    lambda text: commands.end_conference_playback("sales-3", text),
    lambda text: commands.module_exists(text),
    lambda text: commands.locate(text, "a", "b", "c"),
    lambda text: commands.locate("a", "b", "c", text),
    lambda text: commands.only_channel(text),
    lambda text: commands.subscribe([text]),
    lambda text: commands.subscribe(["DTMF"], [text]),
]


@pytest.mark.parametrize("build", BUILDERS, ids=range(len(BUILDERS)))
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text)[:20])
def test_rejects_hostile_arguments(build: Callable[[str], SwitchCommand], text: str) -> None:
    with pytest.raises(SwitchError) as failure:
        build(text)
    assert failure.value.error_id == "switch.argument"


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
