"""What of two transcripts must be alike, and what is chance."""

from __future__ import annotations

import re

from tests.scenarios.transcript import CLOSED, Block

SAID = (
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
"""Channel variables that must be there in the practice switch's events where they are in the real one's."""

_NOT_SAID = {"HEARTBEAT", "RE_SCHEDULE", "MEDIA_BUG_START", "MEDIA_BUG_STOP"}
"""The clock's own events, and what is attached to a leg's sound: where that says something (a third party),
it is of the real switch alone."""

BOOKKEEPING = {"set", "unset", "multiset", "sched_transfer"}
"""Applications whose number and order are the dialplan's business, which both read from the same file: a
change there does not make a transcript untrue."""


def said(blocks: list[Block], connection: str) -> list[Block]:
    """What the switch said on a connection, without :data:`_NOT_SAID`."""
    return [block for block in blocks if block.who == f"switch {connection}" and block.event not in _NOT_SAID]


_ID = re.compile(r"\buuid-[0-9]+\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_FOLDER = re.compile(r"/(?:[^/\s']+/)+")
_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


def ordered(blocks: list[Block], connection: str) -> list[str]:
    """What the daemon sent on a connection: ids are numbered as they come, and folders and hashes are
    chance."""
    ids: dict[str, str] = {}

    def plain(text: str) -> str:
        text = _ID.sub(lambda found: ids.setdefault(found[0], f"id-{len(ids) + 1}"), text)
        return _SHA256.sub("sha256", _FOLDER.sub("/", text))

    return [
        plain(block.text) for block in blocks if block.who == f"daemon {connection}" and block.text != CLOSED
    ]


def by_leg(blocks: list[Block]) -> dict[str, list[Block]]:
    """Events of the outside leg and of the inside one: two threads of the real switch, so that the order
    between them is not fixed."""
    legs: dict[str, list[Block]] = {"inbound": [], "outbound": []}
    for block in blocks:
        if block.event and block.event != "CHANNEL_DATA" and not is_bookkeeping(block):
            legs[block.headers()["Call-Direction"]].append(block)
    return legs


def is_bookkeeping(block: Block) -> bool:
    """Not held against each other: bookkeeping, of which the real switch may also send a call's socket
    what happened just before it asked for events."""
    return block.headers().get("Application") in BOOKKEEPING


def settled(blocks: list[Block], connection: str) -> list[Block]:
    """Without the end that is chance: how much a call's own socket still gets once the call was hung up,
    and whether the daemon was still there for the last event of all."""
    if connection == "standing":
        return [block for block in blocks if block.event != "CHANNEL_DESTROY"]
    return [block for block in blocks if "Hangup-Cause" not in block.headers()]


def shape(block: Block) -> tuple[str, ...]:
    headers = block.headers()
    return (block.event, *(f"{name}={headers[name]}" for name in SAID if name in headers))


def names(block: Block) -> set[str]:
    return {name for name in block.headers() if not name.startswith("variable_")}


def ours(block: Block) -> set[str]:
    return {name for name in block.headers() if name.startswith(OURS)}
