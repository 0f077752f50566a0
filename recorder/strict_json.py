"""JSON at the boundaries: one parser for every document and file, and one conversion to values and back.

A value is a frozen dataclass, and :class:`Strict`. pydantic applies its strict rules for JSON: a number is
not a string, ``true`` is not a number, no field is missing or unknown. The parser refuses what pydantic
accepts: duplicate fields, NaN, unbounded nesting and, in a signed document, any form but the canonical one
(RFC 8785).

A value is checked when it is read, not when it is constructed: within the program, the type checker does
that.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Collection
from dataclasses import fields
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Final, Generic, Literal, NoReturn, TypeVar

import rfc8785
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter
from pydantic import ValidationError as Invalid

from recorder.clock import from_iso, to_iso

Value = TypeVar("Value")

DEEPEST: Final = 64
"""Maximum levels of nesting: several times those of any document."""

LARGEST_NUMBER: Final = 2**53
"""Other JSON readers may round larger integers."""

YEARS: Final = range(1970, 9000)
"""Valid years of times in files: adding any retention period stays within the calendar."""

Reason = Literal["not_json", "duplicate_field", "not_canonical", "field", "unknown_field"]


class Strict:
    """What frozen dataclasses that are read from JSON have in common: pydantic's configuration."""

    __slots__ = ()
    __pydantic_config__ = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Malformed(ValueError):
    """Content that is refused, and the ``reason``. The message completes "the manifest …" for the parser's
    reasons, and "manifest.body…" for those about a field."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Final = reason


def parse(content: bytes, largest: int | None = None) -> Any:
    """Parse a JSON file. Besides malformed JSON, it refuses duplicate fields, numbers that are not finite or
    beyond :data:`LARGEST_NUMBER`, NUL in a string, more than ``largest`` bytes, and more than :data:`DEEPEST`
    levels. Raises :class:`Malformed`.

    The interpreter can switch threads at each object, so a large file does not delay other threads.
    """
    _check_size(content, largest)
    if b"\\u0000" in content and _NUL.search(content):
        raise Malformed("not_json", "contains a string with NUL")
    return _parse(content, parse_int=_whole_number, parse_float=_number)


def parse_canonical(content: bytes, largest: int | None = None) -> dict[str, Any]:
    """Parse a signed document, an object that must be in canonical form (RFC 8785): every document has one
    spelling, and no number that another reader might round. Raises :class:`Malformed`."""
    _check_size(content, largest)
    body = _parse(content)
    if not isinstance(body, dict):
        raise Malformed("not_json", "is not a JSON object")
    try:
        same = dump_canonical(body) == content
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise Malformed("not_canonical", "is not in canonical form (RFC 8785)")
    return body


def dump_canonical(body: Any) -> bytes:
    """The canonical form (RFC 8785) of a JSON value. Raises ``ValueError`` for what it cannot hold: integers
    beyond 2^53, NaN, half a surrogate pair.

    The interpreter's own writer takes a tenth of the time of :mod:`rfc8785`. It writes the same, but for some
    numbers and for the order of names beyond ASCII."""
    return _WRITER.encode(body).encode() if _is_written_alike(body) else rfc8785.dumps(body)


class Form(Generic[Value]):
    """Reads and writes the values of one class as JSON."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the class's fields."""
        return frozenset(each.name for each in fields(self._kind))

    @cached_property
    def _adapter(self) -> TypeAdapter[Value]:
        # Built at first use: no process needs all adapters, and the class may be defined later.
        return TypeAdapter(self._kind)

    def read(self, body: object) -> Value:
        """The value of parsed JSON. Raises :class:`Malformed` (``field``, ``unknown_field``)."""
        try:
            # Back to JSON, because pydantic applies its strict rules for JSON only to JSON.
            return self._adapter.validate_json(json.dumps(body))
        except Invalid as error:
            raise _malformed(error) from None

    def write_json(self, value: Value) -> bytes:
        """The value as JSON text, with its fields in the order of the class."""
        return self._adapter.dump_json(value, by_alias=True)

    def write(self, value: Value) -> dict[str, Any]:
        """The value as a JSON object."""
        plain_value: dict[str, Any] = self._adapter.dump_python(value, mode="json", by_alias=True)
        return plain_value


def b64(data: bytes) -> str:
    """base64url without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: object) -> bytes:
    """The bytes that :func:`b64` encoded. Raises ``ValueError`` for any other spelling."""
    try:
        data = base64.b64decode(str(text) + "=" * (-len(str(text)) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if b64(data) != text:
        raise ValueError("not base64url without padding")
    return data


def one_of(values: Collection[str]) -> AfterValidator:
    """Annotates a string that must be one of ``values``."""

    def check(value: str) -> str:
        if value not in values:
            raise ValueError(f"not one of {', '.join(sorted(values))}")
        return value

    return AfterValidator(check)


def is_none(value: object) -> bool:
    """For a field that is omitted if it is ``None`` (``Field(exclude_if=is_none)``)."""
    return value is None


def is_empty(value: object) -> bool:
    """For a field that is omitted if it is ``None``, false or empty."""
    return not value


def read_time(text: object) -> datetime:
    """The time that :func:`recorder.clock.to_iso` wrote. Raises ``ValueError`` for anything else."""
    at = from_iso(text) if isinstance(text, str) else None
    if at is None or to_iso(at) != text:
        raise ValueError("not a time in UTC with milliseconds")
    return at


def _check_year(at: datetime) -> datetime:
    if at.year not in YEARS:
        raise ValueError(f"a time in the year {at.year}")
    return at


Time = Annotated[datetime, BeforeValidator(read_time), PlainSerializer(to_iso, when_used="json")]
"""A time in the form of :func:`recorder.clock.to_iso`."""

FileTime = Annotated[Time, AfterValidator(_check_year)]
"""A time in one of :data:`YEARS`."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""A SHA-256 in hex."""

Binary = Annotated[bytes, BeforeValidator(unb64), PlainSerializer(b64, when_used="json")]
"""Bytes in base64url without padding."""

Key = Annotated[Binary, Field(min_length=32, max_length=32)]

Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def _parse(content: bytes, **numbers: Any) -> Any:
    try:
        text = content.decode("utf-8")
        body = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, **numbers)
        if content.count(b"[") + content.count(b"{") > DEEPEST:  # otherwise it cannot be deeper
            _check_depth(body, DEEPEST)
    except Malformed:
        raise
    except (ValueError, RecursionError) as error:
        raise Malformed("not_json", f"is not JSON: {error}") from None
    return body


def _object(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(fields)
    if len(found) != len(fields):
        raise Malformed("duplicate_field", "has a duplicate field")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _whole_number(text: str) -> int:
    number = int(text)
    if abs(number) > LARGEST_NUMBER:
        raise ValueError("a number beyond 2^53")
    return number


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or abs(number) > LARGEST_NUMBER:
        raise ValueError("a number beyond 2^53")
    return number


def _check_size(content: bytes, largest: int | None) -> None:
    if largest is not None and len(content) > largest:
        raise Malformed("not_json", f"has more than {largest} bytes")


def _check_depth(value: Any, levels: int) -> None:
    if not isinstance(value, (dict, list)):
        return
    if levels == 0:
        raise ValueError(f"nested more than {DEEPEST} levels deep")
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, (dict, list)):
            _check_depth(each, levels - 1)


_WRITER: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)

_PLAIN: Final = frozenset({str, bool, type(None)})


def _is_written_alike(value: Any) -> bool:
    """Whether the interpreter writes a value as RFC 8785 has it."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is int:
        return bool(-LARGEST_NUMBER < value < LARGEST_NUMBER)
    if kind is float:
        return bool(1e-4 <= abs(value) < 1e16 and not value.is_integer())
    if kind is dict:
        for name, each in value.items():
            if type(name) is not str or not name.isascii() or not _is_written_alike(each):
                return False
        return True
    if kind is list or kind is tuple:
        return all(map(_is_written_alike, value))
    return False


def _malformed(error: Invalid) -> Malformed:
    """The first of pydantic's errors; unknown fields only if there are no others."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    others = [each for each in found if each["type"] != "unexpected_keyword_argument"]
    first = (others or found)[0]
    place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in first["loc"])
    if not others:
        return Malformed("unknown_field", f"{place} is unknown")
    return Malformed("field", f"{place}: {first['msg']}"[:400])
