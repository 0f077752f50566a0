"""Keys on paper: printed in lines of four groups, each with its own checksum, so that a mistyped line is
identified.

::

    kek
      1  5TQ0-9WZN-4F1B-H8AC        8 bytes of the key and 2 of a checksum, in Crockford's base32
      2  …
      3  …
      4  …
      5  …                          8 bytes of a hash of the whole key, and their checksum

Crockford's alphabet has no I, L, O and U: typed, the first three are read as 1, 1 and 0
(https://www.crockford.com/base32.html).  A checksum covers the key's kind and the line's number, too, so
lines in another order or below another key's name are identified.  docs/reference/formats.md has the format.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Final

from recorder.errors import ConfigError
from recorder.seal.keyring import KEY

PIECE: Final = 8
CHECK: Final = 2
SYMBOLS: Final = (PIECE + CHECK) * 8 // 5
LINES: Final = KEY // PIECE + 1

_RFC: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PRINTED: Final = str.maketrans(_RFC, _CROCKFORD)
_READ: Final = str.maketrans(_CROCKFORD, _RFC)
_ALIKE: Final = str.maketrans("ILO", "110", " \t-")
_NUMBERED: Final = re.compile(r"([1-9])[.:]?\s+(\S{2,}.*)")
_NAME: Final = re.compile(r"(?:kek|kek\.next|[0-9a-f]{32}\.kek|root\.key)")
_KINDS: Final = ("kek", "kek.next", ".kek", "root.key")
"""The kinds of keys that a checksum covers: a key's name; for ``<id>.kek`` the ending, since its id is a
checksum itself."""


def format_key(name: str, key: bytes) -> Iterator[str]:
    """Yield the printed lines of a key of 32 bytes under its name."""
    yield name
    kind = _kind(name)
    for number, piece in enumerate(_pieces(kind, key), 1):
        text = base64.b32encode(piece + _check(kind, number, piece)).decode("ascii").translate(_PRINTED)
        yield f"  {number}  {'-'.join(text[at : at + 4] for at in range(0, SYMBOLS, 4))}"


def parse_keys(text: str) -> dict[str, bytes]:
    """Parse typed keys, by name: names and their lines, in either case, with or without numbers, spaces and
    dashes; lines that begin with ``#`` are skipped.

    Raises :class:`ConfigError` (``keys.mistyped``), which names every wrong line."""
    blocks: list[tuple[str, list[str]]] = []
    wrong: list[str] = []
    for line in (each.strip() for each in text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if _NAME.fullmatch(line.lower()):
            blocks.append((line.lower(), []))
        elif not blocks:
            wrong.append(f"before the first name (kek, for instance) stands {line[:20]!r}")
        else:
            blocks[-1][1].append(line)
    found: dict[str, bytes] = {}
    for name, lines in blocks:
        pieces, others = _read_block(name, lines, wrong)
        if len(lines) != LINES:
            wrong.append(f"{name}: {len(lines)} lines, and {LINES} were printed")
        elif name in found:
            wrong.append(f"{name} is there twice")
        elif not others and len(pieces) == LINES:
            key = b"".join(pieces[:-1])
            if _pieces(_kind(name), key)[-1] != pieces[-1]:
                wrong.append(f"{name}: each line is as it was printed, but they are not of one key")
            found[name] = key
    if not blocks:
        wrong.append("nothing was typed")
    if wrong:
        raise ConfigError(
            "keys.mistyped",
            f"not what was printed: {'; '.join(wrong)}",
            "compare these lines with the paper; nothing was written",
        )
    return found


def _read_block(name: str, lines: list[str], wrong: list[str]) -> tuple[list[bytes], list[str]]:
    """Return the pieces below a name that belong to it, and the kinds of keys that other lines belong to;
    append each line's problem to ``wrong``."""
    pieces: list[bytes] = []
    others: list[tuple[int, str]] = []
    for number, line in enumerate(lines[:LINES], 1):
        if (content := _content(name, number, line, wrong)) is None:
            continue
        piece, check = content[:PIECE], content[PIECE:]
        made_for = [kind for kind in _KINDS if check == _check(kind, number, piece)]
        if _kind(name) in made_for:
            pieces.append(piece)
        elif made_for:
            others.append((number, made_for[0]))
        else:
            wrong.append(f"{name}: line {number} is mistyped")
    kinds = [kind for _, kind in others]
    if len(others) == LINES and len({*kinds}) == 1:
        wrong.append(f"below {name} stand the lines of {_file_name(kinds[0])}")
    else:
        wrong += [f"{name}: line {number} is a line of {_file_name(kind)}" for number, kind in others]
    return pieces, kinds


def _content(name: str, number: int, line: str, wrong: list[str]) -> bytes | None:
    """Return the ten bytes of a line; without them, append the problem to ``wrong``."""
    if (numbered := _NUMBERED.fullmatch(line)) is not None:
        label, line = numbered.groups()
        if int(label) != number:
            wrong.append(f"{name}: line {label} stands where line {number} should be")
            return None
    symbols = line.upper().translate(_ALIKE)
    strange = sorted({*symbols} - {*_CROCKFORD})
    if strange or len(symbols) != SYMBOLS:
        what = f"has {' '.join(strange)}" if strange else f"has {len(symbols)} characters, not {SYMBOLS}"
        wrong.append(f"{name}: line {number} {what}")
        return None
    return base64.b32decode(symbols.translate(_READ))


def _kind(name: str) -> str:
    return name if name in _KINDS else ".kek"


def _file_name(kind: str) -> str:
    return "<id>.kek" if kind == ".kek" else kind


def _pieces(kind: str, key: bytes) -> list[bytes]:
    whole = hashlib.sha256(f"accord/1/paper-key/{kind}/".encode() + key).digest()[:PIECE]
    return [*(key[at : at + PIECE] for at in range(0, KEY, PIECE)), whole]


def _check(kind: str, number: int, piece: bytes) -> bytes:
    return hashlib.sha256(f"accord/1/paper-line/{kind}/{number}/".encode() + piece).digest()[:CHECK]
