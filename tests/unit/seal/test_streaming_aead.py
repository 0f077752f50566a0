"""Encryption of what is stored: against Tink's vectors, and against every way to change it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import SealError
from recorder.seal import streaming_aead
from recorder.seal.streaming_aead import HEADER, SEGMENT, Reader
from tests.expected_errors import expect_error

from .reference import LENGTHS, VECTORS, Tink, plain

KEY = bytes(range(32))
AAD = streaming_aead.associated_data("0198c0de-0000-7000-8000-000000000001", "audio.opus")
FIRST = SEGMENT - HEADER - 16
NEXT = SEGMENT - 16
EDGES = (0, 1, FIRST - 1, FIRST, FIRST + 1, FIRST + NEXT - 1, FIRST + NEXT, FIRST + NEXT + 1, 500_000)


def replay(*values: bytes) -> Callable[[int], bytes]:
    """Entropy that gives these, in order."""
    left = list(values)

    def take(length: int) -> bytes:
        value = left.pop(0)
        assert len(value) == length
        return value

    return take


def reader(stored: bytes, **changed: Any) -> Reader:
    values: dict[str, Any] = {"key": KEY, "associated_data": AAD, "length": len(stored)}
    return Reader(read=lambda start, end: stored[start:end], **(values | changed))


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text()), ids=lambda v: str(v["plain_length"]))
def test_bytes_equal_tink_vectors(vector: dict[str, Any]) -> None:
    content, header = plain(vector["plain_length"]), bytes.fromhex(vector["header"])
    key, associated = bytes.fromhex(vector["key"]), vector["associated"].encode()
    entropy = replay(header[1:33], header[33:])
    stored = streaming_aead.encrypt_bytes(content, key, associated, entropy)
    assert len(stored) == vector["stored_length"]
    assert hashlib.sha256(stored).hexdigest() == vector["stored_sha256"]
    if vector["stored"] is not None:
        assert stored == base64.b64decode(vector["stored"])
    assert streaming_aead.decrypt_bytes(stored, key, associated) == content


@pytest.mark.parametrize("length", LENGTHS)
def test_tink_and_accord_decrypt_each_other(length: int) -> None:
    pytest.importorskip("tink", reason="the vectors above were made by it; this asks it again")
    reference = Tink(KEY)
    content = plain(length)
    assert reference.decrypt(streaming_aead.encrypt_bytes(content, KEY, AAD), AAD) == content
    assert streaming_aead.decrypt_bytes(reference.encrypt(content, AAD), KEY, AAD) == content


@pytest.mark.parametrize("length", EDGES)
def test_file_round_trips(tmp_path: Path, length: int) -> None:
    content = os.urandom(length)
    source, target = tmp_path / "audio.opus", tmp_path / "audio.opus.enc"
    source.write_bytes(content)
    result = streaming_aead.encrypt(source, target, KEY, AAD)
    stored = target.read_bytes()
    assert result.plain_sha256 == hashlib.sha256(content).hexdigest()
    assert result.sha256 == hashlib.sha256(stored).hexdigest()
    assert (result.plain_length, result.length) == (length, len(stored))
    assert streaming_aead.stored_length(length) == len(stored)
    assert streaming_aead.plain_length(len(stored)) == length
    blocks = [stored[at : at + SEGMENT] for at in range(0, len(stored), SEGMENT)]
    assert list(result.blocks) == [hashlib.sha256(block).hexdigest() for block in blocks]
    assert b"".join(reader(stored).read()) == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio.opus", "audio.opus.enc"]


def test_encryption_is_randomised() -> None:
    assert streaming_aead.encrypt_bytes(b"a", KEY, AAD) != streaming_aead.encrypt_bytes(b"a", KEY, AAD)


LONG = plain(400_000)
LONG_STORED = streaming_aead.encrypt_bytes(LONG, KEY, AAD)


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, len(LONG) + 10), length=st.integers(0, len(LONG)))
def test_any_range_reads_the_plain_range(start: int, length: int) -> None:
    assert b"".join(reader(LONG_STORED).read(start, start + length)) == LONG[start : start + length]


def test_seek_reads_the_header_and_the_needed_blocks() -> None:
    ranges: list[tuple[int, int]] = []

    def read(start: int, end: int) -> bytes:
        ranges.append((start, end))
        return LONG_STORED[start:end]

    at = FIRST + 3 * NEXT + 5
    found = Reader(KEY, AAD, read, len(LONG_STORED))
    assert b"".join(found.read(at, at + 10)) == LONG[at : at + 10]
    assert ranges == [(0, SEGMENT), (4 * SEGMENT, 5 * SEGMENT)]
    assert b"".join(found.read(at, at + 1)) == LONG[at : at + 1]
    assert ranges[2:] == [(4 * SEGMENT, 5 * SEGMENT)]


def test_first_read_is_one_block() -> None:
    ranges: list[tuple[int, int]] = []

    def read(start: int, end: int) -> bytes:
        ranges.append((start, end))
        return LONG_STORED[start:end]

    next(Reader(KEY, AAD, read, len(LONG_STORED)).read())
    assert ranges == [(0, SEGMENT)]


def test_each_block_is_verified_before_decryption() -> None:
    blocks: list[tuple[int, str]] = []

    def check(number: int, block: bytes) -> None:
        blocks.append((number, hashlib.sha256(block).hexdigest()))
        if number == 2:
            raise SealError("seal.block", "no", "try again")

    pieces: list[bytes] = []
    with expect_error(SealError, "seal.block"):
        pieces.extend(reader(LONG_STORED, check=check).read())
    assert [number for number, _ in blocks] == [0, 1, 2]
    assert LONG.startswith(b"".join(pieces))


def flipped(stored: bytes, at: int) -> bytes:
    return stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]


@pytest.mark.parametrize(
    "at", [1, 40, HEADER, SEGMENT - 1, SEGMENT, 3 * SEGMENT + 77, len(LONG_STORED) - 1], ids=str
)
def test_a_changed_bit_is_refused(at: int) -> None:
    with expect_error(SealError, "seal.decryption"):
        list(reader(flipped(LONG_STORED, at)).read())


def test_a_changed_header_is_refused() -> None:
    with expect_error(SealError, "seal.object_header"):
        list(reader(flipped(LONG_STORED, 0)).read())


def test_reordered_blocks_are_refused() -> None:
    blocks = [LONG_STORED[at : at + SEGMENT] for at in range(0, len(LONG_STORED), SEGMENT)]
    blocks[1], blocks[2] = blocks[2], blocks[1]
    with expect_error(SealError, "seal.decryption"):
        list(reader(b"".join(blocks)).read())


@pytest.mark.parametrize("keep", [SEGMENT, 3 * SEGMENT, len(LONG_STORED) - 1])
def test_truncated_object_is_refused(keep: int) -> None:
    cut = LONG_STORED[:keep]
    with expect_error(SealError, "seal.decryption"):
        list(reader(cut).read())  # its own length: the last segment is not marked as the last
    with expect_error(SealError, "seal.object_length"):
        list(reader(cut, length=len(LONG_STORED)).read())  # the sealed length: bytes are missing


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(SealError):
        list(reader(LONG_STORED + bytes(20)).read())


@pytest.mark.parametrize(
    "changed",
    [
        {
            "associated_data": streaming_aead.associated_data(
                "0198c0de-0000-7000-8000-000000000002", "audio.opus"
            )
        },
        {
            "associated_data": streaming_aead.associated_data(
                "0198c0de-0000-7000-8000-000000000001", "audio.wav"
            )
        },
        {"key": bytes(32)},
    ],
    ids=["another recording", "another name", "another key"],
)
def test_another_place_or_key_is_refused(changed: dict[str, Any]) -> None:
    with expect_error(SealError, "seal.decryption"):
        list(reader(LONG_STORED, **changed).read())


def test_empty_object_is_authenticated() -> None:
    stored = streaming_aead.encrypt_bytes(b"", KEY, AAD)
    assert list(reader(stored).read()) in ([], [b""])
    with pytest.raises(SealError):
        list(reader(stored, key=bytes(32)).read())


@pytest.mark.parametrize("length", [0, 1, 55, SEGMENT + 1, SEGMENT + 16, 2 * SEGMENT + 15])
def test_impossible_length_is_refused(length: int) -> None:
    with expect_error(SealError, "seal.object_length"):
        streaming_aead.plain_length(length)


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "audio.wav"
    source.write_bytes(bytes(100_000))
    (tmp_path / "target").mkdir()
    with pytest.raises(IsADirectoryError):
        streaming_aead.encrypt(source, tmp_path / "target", KEY, AAD)  # a folder cannot be replaced by a file
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio.wav", "target"]


def test_read_window_grows_to_four_mebibytes() -> None:
    content = bytes(8 * 1024 * 1024)
    stored = streaming_aead.encrypt_bytes(content, KEY, AAD)
    sizes: list[int] = []

    def read(start: int, end: int) -> bytes:
        sizes.append(-(-(end - start) // SEGMENT))
        return stored[start:end]

    assert b"".join(Reader(KEY, AAD, read, len(stored)).read()) == content
    assert sizes == [1, 8, 64, 56]
