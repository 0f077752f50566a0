"""The switch of the demo: a real FreeSWITCH with two phones, or the practice switch."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import gevent

from demo import practice
from demo.ports import Ports
from recorder.environment import for_process
from recorder.errors import SwitchError
from recorder.processes.supervisor import Program
from recorder.spool.snapshot import read_snapshot

if TYPE_CHECKING:
    from recorder.domain.line_policy import LinePolicy
    from recorder.domain.sentences import TimedSentence
    from recorder.processes.services import Context
    from recorder.switch.esl import Inbound

PRACTICE = Path(practice.__file__).parent
SPEECH = PRACTICE / "speech"
CALLERS = ("3224440001", "3224440002", "3224440003", "3224440004")
SPEECH_LANGUAGES = ("fr", "en")
"""Languages in which the practice conversations are spoken."""

RTP = 21000
"""First RTP port of the switch; the phones' follow 400 later."""

STARTS_IN = 30.0

SWITCH_PASSWORD = "ACCORD_SWITCH_PASSWORD"  # noqa: S105  # the variables' names
PHONES_PASSWORD = "PHONES_PASSWORD"  # noqa: S105

SPEAK = 3.0
"""Seconds of conversation before the colleague asks, and from the question to the caller's answer."""

QUESTION_MS = 30_000
"""Milliseconds that the question adds to a call."""


def practice_switch(
    ports: Ports,
    calls: Sequence[tuple[str, str]],
    sounds: Path,
    room_number: str,
    environment: Mapping[str, str] = os.environ,
) -> Program:
    """The practice switch, which makes the calls itself and prints what happens; in ``sounds`` it keeps what
    called telephones hear; its page with a telephone calls ``room_number``; ``environment`` holds the
    password of its event socket."""
    placed = [f"--call={number}:{language}" for number, language in calls]
    placed[0] += ":agrees"  # in the first one the colleague asks whether the recording may be kept
    return Program(
        "switch",
        [
            sys.executable,
            "-m",
            "demo.practice",
            f"--event-port={ports.event_socket}",
            f"--daemon=127.0.0.1:{ports.daemon}",
            f"--sounds={sounds}",
            "--telephone",
            str(ports.telephone),
            room_number,
            "--stay",
            *placed,
        ],
        environment=_for_switch(environment, SWITCH_PASSWORD),
    )


def configuration() -> Path:
    """The dialplan that both switches run: it belongs to the switch and is not part of the package. Raises
    :class:`SwitchError` (``demo.no_conf``)."""
    conf = PRACTICE.parents[1] / "freeswitch_conf"
    if not conf.is_dir():
        raise SwitchError(
            "demo.no_conf", f"the folder {conf} is missing", "run the demo from a checkout of Accord"
        )
    return conf


def real(
    binary: Path, folder: Path, ports: Ports, sounds: Path, environment: Mapping[str, str]
) -> list[Program]:
    """FreeSWITCH with ``freeswitch_conf/``, and a second one that plays the phones, which keep in ``sounds``
    what verification calls say."""
    base = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    switch = {
        **base,
        **_for_switch(environment, SWITCH_PASSWORD),
        "ACCORD_RTP_START": str(RTP),
        "ACCORD_RTP_END": str(RTP + 398),
    }
    phones = {
        **base,
        **_for_switch(environment, PHONES_PASSWORD),
        "PHONES_PORT": str(ports.phones),
        "PHONES_SIP_PORT": str(ports.phones_sip),
        "PHONES_RTP_START": str(RTP + 400),
        "PHONES_RTP_END": str(RTP + 798),
        "PHONES_SPEECH": str(SPEECH),
        "PHONES_HEARD": str(sounds),
    }
    return [
        _program("switch", binary, configuration(), folder / "switch", switch),
        _program("phones", binary, PRACTICE / "phones", folder / "phones", phones),
    ]


def _for_switch(environment: Mapping[str, str], password: str) -> dict[str, str]:
    """The part of an environment that a switch reads: no secret except its own event socket's password."""
    child_environment = for_process("daemon", environment)
    child_environment.pop(SWITCH_PASSWORD, None)
    return child_environment | ({password: environment[password]} if password in environment else {})


def _program(name: str, binary: Path, conf: Path, folder: Path, environment: Mapping[str, str]) -> Program:
    argv = [str(binary), "-nonat", "-np", "-nf", "-nc", "-conf", str(conf)]
    for part in ("log", "db", "run"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        argv += [f"-{part}", str(folder / part)]
    return Program(name, argv, environment=environment, output=folder / "out.log")


def place_calls(
    ports: Ports,
    password: str,
    calls: Sequence[tuple[str, str]],
    context: Context,
    say: Callable[[str], None],
) -> None:
    """Have the calling phone make the calls, a second apart. Raises :class:`SwitchError`."""
    phones = _connect(ports.phones, password)
    answers: list[gevent.Greenlet[..., None]] = []
    _connect(ports.event_socket, context.settings.switch.password.get_secret_value()).stop()
    lines = read_snapshot(context.settings.node.snapshot_folder)
    try:
        for at, (number, language) in enumerate(calls):
            answers += _place(phones, ports, lines.line(number), number, language, at, agrees=not at)
            say(f"call {at + 1} of {len(calls)} ({language}) hears the announcement")
            gevent.sleep(1)
        gevent.joinall(answers, raise_error=True)
    finally:
        gevent.killall(answers)
        phones.stop()


def place_call(ports: Ports, phones_password: str | None, line: LinePolicy) -> None:
    """Call a recorded number, on the real switch with ``phones_password``, else on the practice switch; where
    its line has a keep question, the colleague asks it, and the caller agrees. Raises
    :class:`SwitchError`."""
    from recorder.switch.commands import SwitchCommand

    language = (
        line.announcement.language if line.announcement.language in SPEECH_LANGUAGES else SPEECH_LANGUAGES[0]
    )
    if phones_password is None:
        connection = _connect(ports.event_socket, os.environ[SWITCH_PASSWORD])
        call = f"{line.number}:{language}{':agrees' if question_of(line) else ''}"
        reply = connection.api(SwitchCommand(f"api practice_call {call}"))
        connection.stop()
        _check(reply)
        return
    phones = _connect(ports.phones, phones_password)
    try:
        answers = _place(phones, ports, line, line.number, language, 0, agrees=True)
        gevent.joinall(answers, raise_error=True)
    finally:
        phones.stop()


def question_of(line: LinePolicy | None) -> TimedSentence | None:
    """A line's keep question, ``None`` where it has none."""
    return line.keep.question if line and line.keep else None


def _place(
    phones: Inbound, ports: Ports, line: LinePolicy | None, number: str, language: str, at: int, agrees: bool
) -> list[gevent.Greenlet[..., None]]:
    """Make one call from the calling phone; returns who answers the keep question in it."""
    from recorder.switch.commands import SwitchCommand

    announcement_ms = line.announcement.duration_ms if line else 0
    # The caller listens to the announcement, and speaks once somebody answers.
    sound = f"file_string://silence_stream://{announcement_ms + 600}!{SPEECH}/{language}/caller.wav"
    phone, caller = str(uuid4()), CALLERS[at % len(CALLERS)]
    answers = []
    if agrees and (question := question_of(line)):
        # Time for the question, the answer, and its confirmation.
        sound += f"!silence_stream://{QUESTION_MS}"
        wait = (announcement_ms + question.duration_ms) / 1000
        answers.append(gevent.spawn(_agree, phones, phone, caller, announcement_ms / 1000, wait))
    command = (
        f"api originate {{origination_uuid={phone},origination_caller_id_number={caller}}}"
        f"sofia/phones/{number}@127.0.0.1:{ports.sip} 'playback:{sound},hangup' inline"
    )
    try:
        _check(phones.api(SwitchCommand(command)))
    except SwitchError:
        gevent.killall(answers)
        raise
    return answers


def _check(reply: str) -> None:
    if not reply.startswith("+OK"):
        raise SwitchError(
            "demo.call_failed", f"the call failed: {reply.strip()}", "see the log in .accord/switch"
        )


def _agree(phones: Inbound, phone: str, caller: str, announced: float, questioned: float) -> None:
    """The colleague's telephone asks whether the recording may be kept, and after the question the caller's
    presses 1. ``announced`` and ``questioned``: seconds from the call until the ends of the announcement and
    of the question."""
    from recorder.switch.commands import SwitchCommand

    gevent.sleep(announced + SPEAK)
    rows = json.loads(phones.api(SwitchCommand("api show channels as json"))).get("rows", [])
    for row in rows:
        if row["direction"] == "inbound" and row["cid_num"] == caller:
            phones.api(SwitchCommand(f"api uuid_send_dtmf {row['uuid']} *5"))
            gevent.sleep(questioned - announced + SPEAK)
            phones.api(SwitchCommand(f"api uuid_send_dtmf {phone} 1"))


def _connect(port: int, password: str) -> Inbound:
    from recorder.switch.esl import Inbound

    deadline = gevent.Timeout(STARTS_IN)
    with deadline:
        while True:
            connection = Inbound("127.0.0.1", port, password)
            try:
                connection.connect()
                return connection
            except SwitchError:
                gevent.sleep(0.3)
