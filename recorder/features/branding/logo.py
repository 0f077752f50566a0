"""Reads the logo of the settings; checks one that somebody uploads, and keeps nothing of it but the picture.

Only PNG is accepted from the panel: an SVG file is a document that can contain scripts, and PNG is enough for
a logo. Every part of the file that draws nothing (texts, profiles, whatever follows the picture) is dropped.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from recorder.errors import CatalogueError, ConfigError
from recorder.seal.branding import LONGEST_LOGO

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

LARGEST_SIDE: Final = 2000
"""Maximum width and height, in pixels."""

_PICTURE: Final = (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"sRGB", b"IDAT", b"IEND")
"""The chunks that are kept, by type (PNG, third edition, section 11)."""

_LONGEST_PIXEL: Final = 8
"""Bytes of a pixel with four channels of 16 bits."""

HINT: Final = f"a PNG file of at most {LONGEST_LOGO // 1000} kB and {LARGEST_SIDE} pixels a side"

LOGO_TYPES: Final = {".svg": "image/svg+xml", ".png": "image/png"}
"""The media types of a logo that the settings name, by the file's ending: there, the operator of the machine
chose it."""


def read_logo(path: Path) -> tuple[str, bytes]:
    """A logo's media type and content.  Raises :class:`ConfigError` (``config.invalid``) if it cannot be
    used."""
    hint = f"use an SVG or PNG file of at most {LONGEST_LOGO // 1000} kB"
    if path.suffix.lower() not in LOGO_TYPES:
        raise ConfigError("config.invalid", f"brand.logo: {path} is neither .svg nor .png", hint)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError("config.invalid", f"brand.logo: {path} cannot be read: {error}", hint) from error
    if len(content) > LONGEST_LOGO:
        raise ConfigError("config.invalid", f"brand.logo: {path} has {len(content)} bytes", hint)
    return LOGO_TYPES[path.suffix.lower()], content


def check_logo(content: bytes) -> bytes:
    """The logo with nothing but its picture. Raises :class:`CatalogueError` (``branding.logo``)."""
    if len(content) > LONGEST_LOGO:
        raise _refused(f"has {len(content)} bytes")
    if not content.startswith(SIGNATURE):
        raise _refused("is no PNG file")
    chunks = list(_chunks(content))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        raise _refused("is incomplete")
    width, height = struct.unpack(">II", chunks[0][1][:8])
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise _refused(f"has {width} x {height} pixels")
    _check_pixels(b"".join(data for kind, data in chunks if kind == b"IDAT"), width, height)
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks if kind in _PICTURE)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The type and data of each chunk, up to the picture's end."""
    at = len(SIGNATURE)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        if content[at : at + 12 + length] != _chunk(kind, data):
            raise _refused("is damaged")
        yield kind, data
        if kind == b"IEND":
            return
        at += 12 + length


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _check_pixels(compressed: bytes, width: int, height: int) -> None:
    """Refuse pixels that do not unpack, or to more than the picture's size: browsers unpack them as well."""
    largest = (width * _LONGEST_PIXEL + 1) * height * 2  # interlaced pictures have a few more rows
    try:
        decoder = zlib.decompressobj()
        decoder.decompress(compressed, largest)
    except zlib.error as error:
        raise _refused("is damaged") from error
    if not decoder.eof:
        raise _refused("is damaged")


def _refused(what: str) -> CatalogueError:
    return CatalogueError("branding.logo", f"the logo {what}", f"use {HINT}")
