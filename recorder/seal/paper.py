"""A key on paper, and typed again: lines of four groups, each with a check of its own, so that it is known
which one was mistyped.

::

    kek
      1  5TQ0-9WZN-4F1B-H8AC        8 bytes of the key and 2 of a check, in Crockford's base32
      2  …
      3  …
      4  …
      5  …                          8 bytes of a hash of the whole key, and their check

Crockford's alphabet has no I, L, O and U: typed, the first three are read as 1, 1 and 0
(https://www.crockford.com/base32.html).  A check is of the line's number too, so lines in another order are
found.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Final

from recorder.errors import ConfigError
from recorder.seal.keys import KEY

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


def printed(name: str, key: bytes) -> Iterator[str]:
    """The lines of a key of 32 bytes under its name, for paper."""
    yield name
    for number, piece in enumerate(_pieces(key), 1):
        text = base64.b32encode(piece + _check(number, piece)).decode("ascii").translate(_PRINTED)
        yield f"  {number}  {'-'.join(text[at : at + 4] for at in range(0, SYMBOLS, 4))}"


def typed(text: str) -> dict[str, bytes]:
    """Keys by name, from what somebody typed: names and their lines, with or without numbers, spaces, dashes
    and lower case; lines that begin with ``#`` are left out.

    Raises :class:`ConfigError` (``keys.mistyped``), which names every line that is wrong."""
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
        pieces = [_piece(name, number, line, wrong) for number, line in enumerate(lines[:LINES], 1)]
        if len(lines) != LINES:
            wrong.append(f"{name}: {len(lines)} lines, and {LINES} were printed")
        elif name in found:
            wrong.append(f"{name} is there twice")
        elif whole := [piece for piece in pieces if piece is not None]:
            key = b"".join(whole[:-1])
            if len(whole) == LINES and _pieces(key)[-1] != whole[-1]:
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


def _piece(name: str, number: int, line: str, wrong: list[str]) -> bytes | None:
    if (numbered := _NUMBERED.fullmatch(line)) is not None:
        said, line = numbered.groups()
        if int(said) != number:
            wrong.append(f"{name}: line {said} stands where line {number} should be")
            return None
    symbols = line.upper().translate(_ALIKE)
    strange = sorted({*symbols} - {*_CROCKFORD})
    if strange or len(symbols) != SYMBOLS:
        what = f"has {' '.join(strange)}" if strange else f"has {len(symbols)} characters, not {SYMBOLS}"
        wrong.append(f"{name}: line {number} {what}")
        return None
    content = base64.b32decode(symbols.translate(_READ))
    piece, check = content[:PIECE], content[PIECE:]
    if check != _check(number, piece):
        wrong.append(f"{name}: line {number} is mistyped")
        return None
    return piece


def _pieces(key: bytes) -> list[bytes]:
    whole = hashlib.sha256(b"accord/1/paper-key/" + key).digest()[:PIECE]
    return [*(key[at : at + PIECE] for at in range(0, KEY, PIECE)), whole]


def _check(number: int, piece: bytes) -> bytes:
    return hashlib.sha256(b"accord/1/paper-line/%d/" % number + piece).digest()[:CHECK]
