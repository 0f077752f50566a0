"""Compares the parts of two transcripts that must be alike."""

from __future__ import annotations

import re

from tests.scenarios.transcript import CLOSED, Block

HEADERS = (
    "Application", "Application-Response", "Channel-State", "Channel-Call-State", "Answer-State",
    "Call-Direction", "Hangup-Cause", "Playback-Status", "Record-Completion-Cause", "variable_accord_state",
    "variable_accord_left", "Recording-Variable-RECORD_STEREO",
    "Recording-Variable-enable_file_write_buffering", "DTMF-Digit", "DTMF-Duration", "DTMF-Source",
    "Event-Subclass",
)  # fmt: skip
"""Headers whose values must be the same."""

OURS = (
    "variable_accord_state", "variable_accord_left", "variable_accord_line", "variable_playback_",
    "variable_record_", "variable_current_application", "variable_last_matching_digits",
)  # fmt: skip
"""Channel variables that the practice switch's events must have if the real one's have them."""

_NOT_SAID = {"HEARTBEAT", "RE_SCHEDULE", "MEDIA_BUG_START", "MEDIA_BUG_STOP"}
"""Events of the clock and of media bugs on a leg, which only the real switch sends."""

INTERNAL_APPS = {"set", "unset", "multiset", "sched_transfer"}
"""Applications whose number and order the dialplan decides, which both read from the same file: a change
there does not invalidate a transcript."""


def switch_messages(blocks: list[Block], connection: str) -> list[Block]:
    """The switch's messages on a connection, without :data:`_NOT_SAID`."""
    return [block for block in blocks if block.who == f"switch {connection}" and block.event not in _NOT_SAID]


_ID = re.compile(r"\buuid-[0-9]+\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_FOLDER = re.compile(r"/(?:[^/\s']+/)+")
_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


def daemon_messages(blocks: list[Block], connection: str) -> list[str]:
    """The daemon's messages on a connection, with numbered ids and without folders and hashes."""
    ids: dict[str, str] = {}

    def plain(text: str) -> str:
        text = _ID.sub(lambda found: ids.setdefault(found[0], f"id-{len(ids) + 1}"), text)
        return _SHA256.sub("sha256", _FOLDER.sub("/", text))

    return [
        plain(block.text) for block in blocks if block.who == f"daemon {connection}" and block.text != CLOSED
    ]


def by_leg(blocks: list[Block]) -> dict[str, list[Block]]:
    """The events of each leg: the real switch has a thread for each, so their common order is not fixed."""
    legs: dict[str, list[Block]] = {"inbound": [], "outbound": []}
    for block in blocks:
        if block.event and block.event != "CHANNEL_DATA" and not is_bookkeeping(block):
            legs[block.headers()["Call-Direction"]].append(block)
    return legs


def is_bookkeeping(block: Block) -> bool:
    """Whether an event is not compared: bookkeeping, some of which the real switch also sends from before the
    subscription."""
    return block.headers().get("Application") in INTERNAL_APPS


def settled(blocks: list[Block], connection: str) -> list[Block]:
    """Without the indeterminate end: the number of events on a call's own socket after the hang-up, and
    whether the daemon was still connected for the last one."""
    if connection == "standing":
        return [block for block in blocks if block.event != "CHANNEL_DESTROY"]
    return [block for block in blocks if "Hangup-Cause" not in block.headers()]


def shape(block: Block) -> tuple[str, ...]:
    headers = block.headers()
    return (block.event, *(f"{name}={headers[name]}" for name in HEADERS if name in headers))


def names(block: Block) -> set[str]:
    return {name for name in block.headers() if not name.startswith("variable_")}


def ours(block: Block) -> set[str]:
    return {name for name in block.headers() if name.startswith(OURS)}
