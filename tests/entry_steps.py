"""What a switch reports of a caller who is asked for digits and waits: the same on the real switch and the
practice switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

EXTENSIONS: Final = """<include>
  <extension name="entry"><condition field="destination_number" expression="^778$">
    <action application="answer"/>
    <action application="set" data="playback_terminators=none"/>
    <action application="play_and_get_digits" data="9 9 1 1000 none {sound} silence code \\d+"/>
    <action application="event" data="Event-Name=CUSTOM,Event-Subclass=a::test,accord_code=${{code}}"/>
    <action application="park"/>
  </condition></extension>
  <extension name="question"><condition field="destination_number" expression="^question$">
    <action application="set" data="accord_asked=true"/>
    <action application="play_and_get_digits" data="1 1 1 1000 none {sound} silence answer [12]"/>
    <action application="event" data="Event-Name=CUSTOM,Event-Subclass=a::test,accord_answer=${{answer}}"/>
    <action application="park"/>
  </condition></extension>
</include>
"""

EVENTS: Final = (
    "DTMF",
    "PLAYBACK_START",
    "PLAYBACK_STOP",
    "CHANNEL_PARK",
    "CHANNEL_UNPARK",
    "CHANNEL_HANGUP",
)

CODE: Final = "123456789"

CUT: Final = "PLAYBACK_STOP break"

ENTERED: Final = (
    "PLAYBACK_START", "DTMF", CUT, *["DTMF"] * 8, "code=123456789 success", "CHANNEL_PARK",
)  # fmt: skip
"""The first digit ends the sound, although nothing may (``playback_terminators=none``)."""

INCOMPLETE: Final = (
    "PLAYBACK_START", "DTMF", CUT, "DTMF", "code=12 failure", "CHANNEL_PARK",
)  # fmt: skip

ANSWERED: Final = (
    "CHANNEL_UNPARK", "PLAYBACK_START", "DTMF", CUT, "answer=1 success", "CHANNEL_PARK",
)  # fmt: skip

WRONG_KEY: Final = (
    "CHANNEL_UNPARK", "PLAYBACK_START", "DTMF", CUT, "answer= success", "CHANNEL_PARK",
)  # fmt: skip
"""A key that does not match is a success without an answer."""

SILENT: Final = (
    "CHANNEL_UNPARK", "PLAYBACK_START", "PLAYBACK_STOP done", "answer= failure", "CHANNEL_PARK",
)  # fmt: skip


def write_extensions(conf: Path, sound: Path) -> None:
    """Add the extensions to a switch's configuration."""
    (conf / "dialplan" / "public" / "00_a.xml").write_text(EXTENSIONS.format(sound=sound))


def steps_of(events: Sequence[Mapping[str, str]], leg: str) -> tuple[str, ...]:
    """What was reported of a leg, in order."""
    return tuple(_step(each) for each in events if each.get("Unique-ID") == leg and _counts(each))


def _counts(event: Mapping[str, str]) -> bool:
    return event["Event-Name"] in EVENTS or event.get("Event-Subclass") == "a::test"


def _step(event: Mapping[str, str]) -> str:
    name = event["Event-Name"]
    if name != "CUSTOM":
        return f"{name} {event.get('Playback-Status', '')}".strip()
    variable = "answer" if "variable_accord_asked" in event else "code"
    return f"{variable}={event.get(f'accord_{variable}', '')} {event.get('variable_read_result', '')}"
