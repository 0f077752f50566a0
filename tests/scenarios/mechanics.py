"""How the switch itself treats keys and sounds played into a call, as data.

Unlike the scenarios of ``definitions.py``, these need no daemon: a client carries them out on a switch with
:data:`DIALPLAN`, so they stay valid when Accord's dialplan changes.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from tests.scenarios.files import RATE

DIALPLAN = r"""<include>
  <X-PRE-PROCESS cmd="include" data="../accord/vars.xml"/>
  <context name="public">
    <extension name="call">
      <condition field="destination_number" expression="^(\+?[0-9]{2,15})$">
        <action application="set" data="accord_state=announcing"/>
        <action application="set" data="playback_terminators=none"/>
        <action application="set" data="socket_resume=true"/>
        <action application="answer"/>
        <action application="socket" data="$${accord_daemon} async full"/>
        <action application="unset" data="socket_resume"/>
        <action application="unset" data="playback_terminators"/>
        <action application="set" data="accord_state=announced"/>
        <action application="bind_digit_action" data="accord,*5,exec[H]:event,Event-Name=CUSTOM\,Event-Subclass=accord::keep,peer,peer"/>
        <action application="set" data="hangup_after_bridge=true"/>
        <action application="bridge" data="sofia/accord/$1@$${accord_route}"/>
      </condition>
    </extension>
  </context>
</include>
"""  # noqa: E501

SOUNDS = {"question": 4.0, "short": 1.0, "absent": 0.0}
"""Lengths in seconds; ``absent`` has no file."""

Action = Literal[
    "play", "cancel_key", "let_ring", "dial", "let_go", "clear", "broadcast", "terminators",
    "terminators_by_broadcast", "until", "press", "hold", "unhold", "hang_up", "callee_presses",
    "callee_holds", "callee_unholds", "callee_hangs_up",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """``play`` a sound on the call's own socket; set the ``cancel_key``; ``let_ring``, and ``dial`` without
    waiting for the keys; ``let_go`` of the call, which is then connected; ``broadcast`` a sound, ``in_state``
    that the call must be in; ``clear`` the codes of a realm; ``until`` so many events of a name came in all,
    and the rest as in ``definitions.py``.  Keys are waited for."""

    action: Action
    what: str = ""
    count: int = 1
    in_state: str = "announced"


@dataclass(frozen=True, slots=True)
class Mechanic:
    """``call``: messages on the call's own socket are part of it. ``rings``: it rings for some seconds."""

    name: str
    steps: tuple[Step, ...]
    call: bool = False
    rings: bool = False


def until(name: str, count: int = 1) -> Step:
    return Step("until", name, count)


_CONNECTED = Step("let_go")
_END = Step("hang_up")
_QUESTION = (Step("broadcast", "question"), until("PLAYBACK_START", 2))
_ANSWERED = (*_QUESTION, until("PLAYBACK_STOP", 2))

MECHANICS = (
    Mechanic("keys_in_and_after_a_prompt", (
        Step("play", "question"), Step("press", "12*#"), until("PLAYBACK_STOP"), Step("press", "2*"),
        _CONNECTED, _END), call=True),
    Mechanic("keys_while_it_rings", (
        Step("let_ring"), Step("dial", "12"), _CONNECTED, until("DTMF", 2), Step("press", "3"), _END),
        rings=True),
    Mechanic("keys_while_it_rings_with_a_cancel_key", (
        Step("cancel_key", "none"), Step("let_ring"), Step("press", "12"), _CONNECTED, Step("press", "3"),
        _END), rings=True),
    Mechanic("codes", (
        _CONNECTED, Step("callee_presses", "*5"), until("CUSTOM"),
        Step("callee_presses", "1"), Step("callee_presses", "2"), until("DTMF", 6),
        Step("callee_presses", "*"), until("DTMF", 8), Step("callee_presses", "*1"), until("DTMF", 12),
        Step("press", "*5"), Step("press", "12"),
        Step("callee_presses", "*5"), until("CUSTOM", 2), _END)),
    Mechanic("codes_taken_away", (
        _CONNECTED, Step("clear", "accord"), until("CLEARED"), Step("callee_presses", "*5"), until("CUSTOM"),
        Step("clear", "accord,peer"), until("CLEARED", 2), Step("callee_presses", "*5"), Step("press", "1"),
        _END)),
    Mechanic("question", (
        _CONNECTED, Step("terminators", "none"), *_QUESTION, Step("press", "1*"),
        Step("callee_presses", "2*5"),
        until("PLAYBACK_STOP", 2), Step("callee_presses", "1"), until("DTMF", 7), Step("press", "1"), _END)),
    Mechanic("question_with_terminators_by_broadcast", (
        _CONNECTED, Step("terminators_by_broadcast", "none"), *_QUESTION, Step("press", "*"),
        Step("callee_presses", "*"), until("PLAYBACK_STOP", 2), _END)),
    Mechanic("question_cut_by_keys", (
        _CONNECTED, *_QUESTION, Step("press", "1*"), until("PLAYBACK_STOP"), Step("callee_presses", "2*"),
        until("PLAYBACK_STOP", 2), _END)),
    Mechanic("question_external_hangs_up", (_CONNECTED, *_QUESTION, _END)),
    Mechanic("question_inside_hangs_up", (_CONNECTED, *_QUESTION, Step("callee_hangs_up"))),
    Mechanic("question_external_holds", (
        _CONNECTED, *_QUESTION, Step("hold"), until("CHANNEL_HOLD"), until("PLAYBACK_STOP", 2),
        Step("unhold"),
        until("CHANNEL_UNHOLD"), _END)),
    Mechanic("question_inside_holds", (
        _CONNECTED, *_QUESTION, Step("callee_holds"), until("CHANNEL_HOLD"), until("PLAYBACK_STOP", 2),
        Step("callee_unholds"), until("CHANNEL_UNHOLD"), _END)),
    Mechanic("question_while_inside_holds", (
        _CONNECTED, Step("callee_holds"), until("CHANNEL_HOLD"), *_QUESTION, Step("callee_unholds"),
        until("CHANNEL_UNHOLD"), until("PLAYBACK_STOP", 2), _END)),
    Mechanic("two_questions", (
        _CONNECTED, Step("broadcast", "short"), Step("broadcast", "question"), until("PLAYBACK_STOP", 4),
        _END)),
    Mechanic("question_refused", (
        _CONNECTED, Step("broadcast", "short", in_state="announcing"),
        Step("broadcast", "absent"), until("PLAYBACK_MISSED", 2), _END)),
)  # fmt: skip


def write_configuration(folder: Path, original: Path) -> Path:
    """Copy a configuration, with :data:`DIALPLAN` as its dialplan."""
    target = folder / "conf"
    shutil.copytree(original, target, ignore=shutil.ignore_patterns("dialplan"))
    (target / "dialplan").mkdir()
    (target / "dialplan" / "by_hand.xml").write_text(DIALPLAN)
    return target


def write_sounds(folder: Path) -> dict[str, Path]:
    """Write the files of :data:`SOUNDS`."""
    paths = {name: folder / f"{name}.wav" for name in SOUNDS}
    for name, seconds in SOUNDS.items():
        if seconds:
            write_tone(paths[name], 700, seconds)
    return paths


def write_tone(path: Path, pitch: float, seconds: float) -> Path:
    """A tone as a prompt that the switch plays."""
    t = np.arange(int(RATE * seconds)) / RATE
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * t), RATE, subtype="PCM_16")
    return path
