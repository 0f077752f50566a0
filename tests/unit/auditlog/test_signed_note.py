"""The text of a checkpoint: what is written is read again, and nothing else is."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from recorder.auditlog.signed_note import MAX_BYTES, Head, read
from recorder.errors import AuditLogError

HEAD = Head(
    installation="0f" * 16,
    tenant="01930000-0000-7000-8000-00000000000a",
    epoch=1,
    size=12,
    root=bytes(range(32)),
    number=3,
    at=datetime(2026, 11, 25, 9, 0, tzinfo=UTC),
    key="ab12",
    before="cd34",
)
SIGNATURE = f"\u2014 {HEAD.origin} {base64.b64encode(b'abcd' + bytes(64)).decode()}\n"


def note(text: str = HEAD.text(), signatures: str = SIGNATURE) -> bytes:
    return f"{text}\n{signatures}".encode()


@pytest.mark.parametrize("head", [HEAD, replace(HEAD, size=0, number=1, before=None)])
def test_note_is_read_back(head: Head) -> None:
    found = read(note(head.text()))
    assert found.head == head
    assert found.signatures == ((HEAD.origin, b"abcd" + bytes(64)),)


def test_note_length_is_limited() -> None:
    witness = "\u2014 witness {} AAAA\n"
    room = MAX_BYTES - len(note()) - len(witness.format("").encode()) + len(" ")
    fits = note(signatures=SIGNATURE + witness.replace(" {} ", "w" * room + " "))
    assert len(fits) == MAX_BYTES
    assert read(fits).head == HEAD
    with pytest.raises(AuditLogError, match="too long"):
        read(note(signatures=SIGNATURE + witness.replace(" {} ", "w" * (room + 1) + " ")))


@pytest.mark.parametrize("control", ["\x00", "\t", "\r", "\x1f"])
def test_control_characters_are_refused(control: str) -> None:
    with pytest.raises(AuditLogError, match="control characters") as refused:
        read(note(signatures=SIGNATURE + f"\u2014 witness{control} AAAA\n"))
    assert refused.value.error_id == "checkpoint.form"


@pytest.mark.parametrize(
    "text",
    [
        replace(HEAD, root=bytes(31)).text(),
        replace(HEAD, key="XY").text(),
        replace(HEAD, before="nobody").text(),
    ],
)
def test_invalid_hash_is_refused(text: str) -> None:
    with pytest.raises(AuditLogError, match="an invalid hash"):
        read(note(text))
