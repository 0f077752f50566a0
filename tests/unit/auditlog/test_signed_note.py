"""The text of a checkpoint: only what :mod:`recorder.auditlog.signed_note` writes is read."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.auditlog.signed_note import MAX_BYTES, Head, key_hash, read
from recorder.errors import AuditLogError
from tests.expected_errors import expect_error

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
    with pytest.raises(AuditLogError, match="control characters") as failure:
        read(note(signatures=SIGNATURE + f"\u2014 witness{control} AAAA\n"))
    assert failure.value.error_id == "checkpoint.form"


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


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("accord/", "other/", "another origin"),
        ("/1\n", "/0\n", "another origin"),
        ("\n12\n", "\n012\n", "not a number: '012'"),
        ("\n12\n", "\n-1\n", "not a number: '-1'"),
        ("number 3", "numbers 3", "number is missing"),
        ("number 3", "number", "not a number: ''"),
        ("at 2026", "on 2026", "at is missing"),
        ("at 2026-11-25T09:00:00.000Z", "at 2026-11-25T09:00:00.000", "a time without a zone"),
        ("at 2026-11-25T09:00:00.000Z", "at 2026-11-25T09:00:00Z", "not in canonical form"),
        ("key ab12", "keys ab12", "key is missing"),
        ("before cd34", "after cd34", "before is missing"),
        ("before cd34\n", "", "6 lines instead of 7"),
        ("before cd34\n", "before cd34\nmore\n", "8 lines instead of 7"),
    ],
)
def test_malformed_text_is_refused(old: str, new: str, reason: str) -> None:
    assert old in HEAD.text()
    with expect_error(AuditLogError, "checkpoint.form") as failure:
        read(note(HEAD.text().replace(old, new)))
    assert reason in failure.value.message


@pytest.mark.parametrize(
    ("signatures", "reason"),
    [
        ("", "no signature"),
        (SIGNATURE.rstrip("\n"), "no signature"),
        (f"- {HEAD.origin} AAAA\n", "an invalid signature line"),
        (f"\u2014 {HEAD.origin}\n", "an invalid signature line"),
        (f"\u2014 {HEAD.origin} AAAA more\n", "an invalid signature line"),
        (f"{SIGNATURE}more\n", "an invalid signature line"),
        (f"\u2014 {HEAD.origin} A*AA\n", "base64"),
    ],
)
def test_malformed_signature_is_refused(signatures: str, reason: str) -> None:
    with expect_error(AuditLogError, "checkpoint.form") as failure:
        read(note(signatures=signatures))
    assert reason in failure.value.message


def signature(key: Ed25519PrivateKey, text: str = HEAD.text(), name: str = HEAD.origin) -> str:
    content = key_hash(HEAD.origin, key.public_key()) + key.sign(text.encode())
    return f"\u2014 {name} {base64.b64encode(content).decode()}\n"


def test_signatures_under_the_origins_name_are_verified() -> None:
    ours, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    good, bad = signature(ours), signature(ours, "something else")
    witness = signature(other, name="witness.example/1")

    def signed(*lines: str) -> bool:
        return read(note(signatures="".join(lines))).signed_by(ours.public_key())

    assert signed(good)
    assert signed(witness, good)
    assert signed(signature(other), good), "another key's signature under this name is not ours to verify"
    assert not signed(bad)
    assert not signed(good, bad)
    assert not signed(witness)
    assert not signed(signature(other))
    assert not signed(signature(ours, name="witness.example/1"))


def test_note_alone_has_the_first_signature_under_the_origins_name() -> None:
    witness = "\u2014 witness.example/1 AAAA\n"
    again = SIGNATURE.replace(base64.b64encode(b"abcd")[:4].decode(), "ZZZZ")
    assert again != SIGNATURE
    expected = note().decode()
    assert read(note()).alone() == expected
    assert read(note(signatures=witness + SIGNATURE + again)).alone() == expected
    assert read(note(signatures=witness)).alone() == f"{HEAD.text()}\n"
