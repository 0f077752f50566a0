"""Transcripts: the messages between a switch and the daemon, one block each.

A block begins with a line ``=== who connection``: ``switch`` or ``daemon``, on the ``standing`` connection or
the ``call``'s own.  The text below it is the message on the wire (of an event, without the two lines of its
frame), in UTF-8 with other bytes as surrogates.  Files are compressed: ``zless`` shows one.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TRANSCRIPTS = Path(__file__).with_name("transcripts")

SUFFIX = ".txt.gz"

CLOSED = "<closed>"
"""The text of the block that ends a connection."""


@dataclass(frozen=True, slots=True)
class Block:
    """``who`` is for example ``switch standing``; ``text`` the message without its final empty line."""

    who: str
    text: str

    def headers(self) -> dict[str, str]:
        """Headers, the first of each name, with values as on the wire."""
        found: dict[str, str] = {}
        for line in self.text.split("\n"):
            name, colon, value = line.partition(": ")
            if colon:
                found.setdefault(name, value)
        return found

    @property
    def event(self) -> str:
        """The event's name, empty for another message."""
        # An event of the application "event" begins with its subclass.
        return self.headers().get("Event-Name", "") if self.text.startswith("Event-") else ""


def frames(captured: list[tuple[str, bytes]]) -> list[Block]:
    """Split the bytes of a proxy into messages, ordered by their last byte."""
    blocks: list[Block] = []
    pending: dict[str, bytes] = {}
    for who, data in captured:
        if data == b"<closed>":
            pending.pop(who, None)
            blocks.append(Block(who, CLOSED))
            continue
        rest = pending.get(who, b"") + data
        while (cut := message(rest)) is not None:
            text, rest = cut
            if text:
                blocks.append(Block(who, text.decode("utf-8", "surrogateescape")))
        pending[who] = rest
    return blocks


def message(data: bytes) -> tuple[bytes, bytes] | None:
    """The first complete message and the rest; ``None`` if there is none yet."""
    data = data.lstrip(b"\n")
    end = data.find(b"\n\n")
    if end < 0:
        return None
    head, rest = data[:end], data[end + 2 :]
    length = re.search(rb"(?m)^Content-Length: (\d+)$", head)
    if length is None or head.startswith(b"Event-Name"):
        return head, rest
    size = int(length[1])
    if len(rest) < size:
        return None
    body, rest = rest[:size], rest[size:]
    if b"Content-Type: text/event-plain" in head:
        return body.rstrip(b"\n"), rest
    return head + b"\n\n" + body.rstrip(b"\n"), rest


def transcript_names(folder: Path = TRANSCRIPTS) -> list[str]:
    """The names of the transcripts."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}"))


def write(path: Path, blocks: list[Block]) -> None:
    """Write a transcript."""
    text = "\n\n".join(f"=== {block.who}\n{block.text}" for block in blocks) + "\n"
    path.write_bytes(gzip.compress(text.encode("utf-8", "surrogateescape"), mtime=0))


@cache
def read(path: Path) -> list[Block]:
    """Read a transcript."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8", "surrogateescape")
    parts = re.split(r"(?m)^=== (\w+ \w+)\n", text)
    return [Block(who, body.rstrip("\n")) for who, body in zip(parts[1::2], parts[2::2], strict=True)]
