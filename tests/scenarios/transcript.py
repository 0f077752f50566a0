"""Transcripts: what a switch and the daemon said to each other, a block a message.

A file has blocks that begin with a line ``=== who connection``: ``switch`` or ``daemon``, on the
``standing`` connection or on the ``call``'s own.  The text under it is the message as it was on the wire
(of an event the frame's own two lines are left out), in UTF-8 with what is none as surrogates.  They are
compressed: ``zless`` shows one.
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
    """``who`` is such as ``switch standing``; ``text`` the message without the empty line at its end."""

    who: str
    text: str

    def headers(self) -> dict[str, str]:
        """Header lines; the first of a name counts, values as they were on the wire."""
        found: dict[str, str] = {}
        for line in self.text.split("\n"):
            name, colon, value = line.partition(": ")
            if colon:
                found.setdefault(name, value)
        return found

    @property
    def event(self) -> str:
        """The event's name, empty for another message."""
        # What the application "event" makes begins with its subclass.
        return self.headers().get("Event-Name", "") if self.text.startswith("Event-") else ""


def frames(kept: list[tuple[str, bytes]]) -> list[Block]:
    """Cut what went through a proxy into messages; each is placed where its last byte came."""
    blocks: list[Block] = []
    pending: dict[str, bytes] = {}
    for who, data in kept:
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
    """The first whole message and what is behind it; ``None`` where there is none yet."""
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


def taken(folder: Path = TRANSCRIPTS) -> list[str]:
    """Of what there is a transcript."""
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
