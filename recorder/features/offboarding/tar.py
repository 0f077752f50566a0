"""A tar archive (POSIX.1-1988, ustar) whose bytes follow from names and lengths alone, so that a download can
resume at any byte."""

from __future__ import annotations

BLOCK = 512
END = 2 * BLOCK
"""Bytes of zeros after the last file."""


def padded_length(length: int) -> int:
    """The length of a file's content, padded to whole blocks."""
    return -(-length // BLOCK) * BLOCK


def file_length(length: int) -> int:
    """The length of a file with its header."""
    return BLOCK + padded_length(length)


def header(name: str, length: int, at: int) -> bytes:
    """A file's header; ``at`` is its modification time, in Unix seconds. Raises ``ValueError`` for a name of
    more than 100 bytes, or a length that ustar cannot express."""
    encoded = name.encode("ascii")
    if len(encoded) > 100 or not 0 <= length < 8**11:
        raise ValueError(f"ustar cannot say {name!r} of {length} bytes")
    fields = b"".join(
        (
            encoded.ljust(100, b"\0"),
            b"0000644\0",
            b"0000000\0",
            b"0000000\0",
            b"%011o\0" % length,
            b"%011o\0" % at,
            b" " * 8,
            b"0",
            bytes(100),
            b"ustar\0" + b"00",
            bytes(32 + 32 + 8 + 8 + 155 + 12),
        )
    )
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]
