"""No argument breaks out of its command: for any input, the switch reads exactly the intended command and
argument, or no command is made.

The reader here is written after FreeSWITCH: ``mod_event_socket.c`` (a command is the lines before an empty
line, its first line cut at the first space; ``sendmsg`` has headers), ``switch_utils.c``
(``switch_separate_string``: words at spaces, ``'…'`` holds one together, a backslash escapes) and
``switch_channel.c`` (``${…}`` is expanded where it stands).
"""

from __future__ import annotations

import re
from pathlib import Path

from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import NAMES
from tests.fuzz.choices import Choices

INSTRUMENT = ("recorder.switch.commands",)
LONGEST = 200


def lines_of(command: SwitchCommand) -> list[str]:
    """The lines that the switch gets: one complete command, and nothing after it."""
    wire = command.wire
    assert wire.endswith(b"\n\n")
    text = wire[:-2].decode()
    assert not text.endswith("\n") and not text.startswith("\n")
    for bad in ("\n\n", "\r", "\0"):
        assert bad not in text, repr(text)
    return text.split("\n")


def words(text: str) -> list[str]:
    """``switch_separate_string`` with a space."""
    found, word, quoted, in_word, at = [], "", False, False, 0
    while at < len(text):
        letter = text[at]
        if letter == "\\" and at + 1 < len(text):
            word, in_word, at = word + text[at + 1], True, at + 1
        elif letter == "'":
            quoted, in_word = not quoted, True
        elif letter == " " and not quoted:
            if in_word:
                found.append(word)
            word, in_word = "", False
        else:
            word, in_word = word + letter, True
        at += 1
    assert not quoted, f"a quote that nobody closes: {text!r}"
    return [*found, word] if in_word else found


def api(command: SwitchCommand, *expected: str) -> None:
    (line,) = lines_of(command)
    assert "$" not in line
    assert words(line) == ["api", *expected], line


def sendmsg(command: SwitchCommand, **expected: str) -> None:
    first, *headers = lines_of(command)
    assert first == "sendmsg"
    headers_read: dict[str, str] = {}
    for line in headers:
        name, colon, value = line.partition(": ")
        assert colon and name not in headers_read, line
        headers_read[name] = value
    expected_headers = {"call-command": "execute", "event-lock": "true"}
    expected_headers |= {name.replace("_", "-"): value for name, value in expected.items()}
    assert headers_read == expected_headers
    assert "${" not in headers_read.get("execute-app-arg", "")


def check(data: bytes) -> None:
    choices = Choices(data)
    which = choices.pick(BUILDERS)
    one, two, three = choices.text(60), choices.text(60), choices.text(60)
    if choices.below(2):
        two = "a_name"
    if choices.below(2):
        one = "5c6e9f3a-0000-4000-8000-000000000001"
    try:
        which(one, two, three)
    except SwitchError as error:
        assert error.error_id == "switch.argument"
        assert "\n" not in error.message
        assert str(error).isprintable()


def _auth(one: str, two: str, three: str) -> None:
    command = commands.auth(three)
    (line,) = lines_of(command)
    assert line == f"auth {three}"
    assert three not in str(command) or three in "auth"
    assert three not in repr(command) or three in "<Command auth>"


def _subscribe(one: str, two: str, three: str) -> None:
    names = [name for name in (one, two, three) if name in NAMES] or [NAMES[0]]
    (line,) = lines_of(commands.subscribe(names, [three]))
    assert re.fullmatch(r"event plain( [A-Z_]+)+ CUSTOM [A-Za-z0-9_.:-]+", line)
    assert line.endswith(f" {three}")


def _name(one: str, two: str, three: str) -> None:
    (line,) = lines_of(commands.subscribe([three]))
    assert line == f"event plain {three}"


def _filter(one: str, two: str, three: str) -> None:
    (line,) = lines_of(commands.only_channel(three))
    assert words(line) == ["filter", "Unique-ID", three]


def _execute(one: str, two: str, three: str) -> None:
    commands.execute(three, one)
    assert three in commands.APPLICATIONS


def _extension(one: str, two: str, three: str) -> None:
    command = commands.execute_extension(three, two)
    sendmsg(command, execute_app_name="execute_extension", execute_app_arg=f"{three} XML {two}")
    assert words(f"{three} XML {two}") == [three, "XML", two]


def _linger(one: str, two: str, three: str) -> None:
    seconds = len(three) * 37 - 300
    (line,) = lines_of(commands.linger(seconds))
    assert line == f"linger {seconds}" and 1 <= seconds <= 600


def _bugs(one: str, two: str, three: str) -> None:
    api(commands.media_bugs(three), "uuid_buglist", three)
    api(commands.channel_data(three), "uuid_dump", three)


def _get(one: str, two: str, three: str) -> None:
    api(commands.get_variable(one, three), "uuid_getvar", one, three)


def _put(one: str, two: str, three: str) -> None:
    command = commands.put_variable(one, two, three)
    (line,) = lines_of(command)
    # uuid_setvar splits at spaces twice, the value is the rest (`setvar_function`).
    assert line.split(" ", 4) == ["api", "uuid_setvar", one, two, three]
    assert not set(line) & set("$'\"\\{}`")


def _answer(one: str, two: str, three: str) -> None:
    (line,) = lines_of(commands.answer_in_state(one, two, three))
    condition = f"${{uuid_getvar({one} {two})}}"
    assert line == f"api expand uuid_answer ${{cond({condition} == {three} ? {one} : none)}}"
    for part in (one, two, three):
        assert re.fullmatch(r"[A-Za-z0-9_.*+-]+", part)


def _stop(one: str, two: str, three: str) -> None:
    path = Path(three)
    api(commands.record_stop(one, path), "uuid_record", one, "stop", str(path))
    _check_path(path)


def _check_path(path: Path) -> None:
    assert path.is_absolute() and ".." not in path.parts
    assert str(path).isprintable()


def _module(one: str, two: str, three: str) -> None:
    api(commands.module_exists(three), "module_exists", three)


def _locate(one: str, two: str, three: str) -> None:
    api(commands.locate("directory", two, three, one), "xml_locate", "directory", two, three, one)


def _check_outbound(one: str, two: str, three: str) -> None:
    """Each value of the operator and of a request, in its place."""
    path, dial = Path("/var/spool/accord/.said/a b.wav"), "sofia/gateway/out/{number}"
    for build, where, caller_number in (
        (lambda: commands.call_out(three, "+32470123456", path, "", 30), None, ""),
        (lambda: commands.call_out(dial, three, path, "", 30), f"sofia/gateway/out/{three}", ""),
        (
            lambda: commands.call_out(dial, "+32470123456", path, three, 30),
            "sofia/gateway/out/+32470123456",
            three,
        ),
        (lambda: commands.call_out(dial, "+32470123456", Path(three), "", 30), None, ""),
    ):
        try:
            (line,) = lines_of(build())
        except SwitchError as error:
            assert error.error_id == "switch.argument"
            continue
        first, second, target, sound = words(line)
        assert (first, second) == ("api", "originate")
        settings, _, digits = target[1:].partition("}")
        assert target[0] == "{" and not set(digits) & set("{}[]|,^$&")
        assert where is None or digits == where
        assert not digits.startswith("loopback/")
        names = [each.partition("=")[0] for each in settings.split(",")]
        more = ["origination_caller_id_number", "origination_caller_id_name"] if caller_number else []
        assert names == ["ignore_early_media", "originate_timeout", *more]
        assert re.fullmatch(r"&playback\([^()]+\)", sound)


BUILDERS = (
    _auth, _subscribe, _name, _filter, _execute, _extension, _linger, _bugs, _get, _put, _answer, _stop,
    _module, _locate, _check_outbound,
)  # fmt: skip

SEEDS = tuple(
    bytes([which, 0, 0, len(value)]) + value + b"\x01\x01"
    for which in range(len(BUILDERS))
    for value in (
        b"accord_state", b"/var/spool/accord/a b.wav", b"a\n\napi status", b"${system(id)}", b"a'b", b"a b",
        b"a\\", b"sofia/gateway/out/{digits}", b"loopback/{number}", b"+32470123456",
        b"/x/../y", b"0198c0de-0000-7000-8000-000000000001", b"\x82\x83\x84", b"a;b`c`", b"{x=y}",
    )
)  # fmt: skip
