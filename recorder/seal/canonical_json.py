"""Signed JSON: RFC 8785, with the errors of sealed documents."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn, TypeVar

import rfc8785

from recorder import strict_json
from recorder.clock import from_iso, to_iso
from recorder.errors import SealError
from recorder.strict_json import Form, Malformed, parse_canonical
from recorder.strict_json import b64 as b64

Value = TypeVar("Value")

_HEX256 = re.compile(r"[0-9a-f]{64}")


def dump(body: Mapping[str, Any]) -> bytes:
    """RFC 8785.  Raises ``ValueError`` for what it cannot hold (integers beyond 2^53, NaN)."""
    return rfc8785.dumps(dict(body))


def load(content: bytes, what: str, largest: int | None = None) -> dict[str, Any]:
    """The object in a document, which must be in RFC 8785 form and not longer than ``largest`` bytes.
    ``what`` names it in errors.  Raises :class:`SealError` (``seal.not_json``, ``seal.duplicate_field``,
    ``seal.not_canonical``)."""
    try:
        return parse_canonical(content, largest)
    except Malformed as error:
        message = f"the {what} {error}"
        match error.reason:
            case "duplicate_field":
                raise SealError("seal.duplicate_field", message) from None
            case "not_canonical":
                hint = "another program than Accord wrote or changed it"
                raise SealError("seal.not_canonical", message, hint) from None
            case _:
                raise SealError("seal.not_json", message) from None


def read(form: Form[Value], body: object, where: str) -> Value:
    """The value of a document's object, from which the same object would be written.  ``where`` is its path
    in errors.  Raises :class:`SealError` (``seal.field``; ``seal.unknown_field`` where nothing else is
    wrong)."""
    try:
        value = form.read(body)
    except Malformed as error:
        if error.reason == "unknown_field":
            # It might change the meaning of the others.
            raise SealError("seal.unknown_field", f"{where}{error} to this version") from None
        raise SealError("seal.field", f"{where}{error}") from None
    written: Any = form.write(value)
    if written != body:
        if isinstance(body, dict) and (more := sorted(body.keys() - written.keys())):
            raise SealError("seal.unknown_field", f"{where}.{more[0]} is unknown to this version")
        raise SealError("seal.field", f"{where} is written with other fields")
    return value


def read_time(value: object, where: str) -> datetime:
    """A field's time.  Raises :class:`SealError` (``seal.field``)."""
    try:
        return strict_json.read_time(value)
    except ValueError:
        raise SealError("seal.field", f"{where} is not a time in UTC with milliseconds") from None


def read_bytes(value: object, length: int, where: str) -> bytes:
    """A field's bytes, of a length.  Raises :class:`SealError` (``seal.field``)."""
    try:
        data = strict_json.unb64(value)
    except ValueError:
        data = b""
    if len(data) != length:
        raise SealError("seal.field", f"{where} is not {length} bytes in base64url")
    return data


def members(body: object, where: str, *names: str) -> list[Any]:
    """The values of an object that has exactly the fields ``names``.  Raises :class:`SealError`
    (``seal.field``, ``seal.unknown_field``)."""
    if not isinstance(body, dict):
        raise SealError("seal.field", f"{where} is not an object")
    for name in names:
        if name not in body:
            raise SealError("seal.field", f"{where}.{name} is missing")
    if more := sorted(body.keys() - {*names}):
        raise SealError("seal.unknown_field", f"{where}.{more[0]} is unknown to this version")
    return [body[name] for name in names]


def take_constants(body: object, where: str, expected: Mapping[str, object]) -> dict[str, Any]:
    """An object's other fields, where those in ``expected`` have their one value.  Raises
    :class:`SealError` (``seal.field``; ``seal.version`` for another ``version``)."""
    if not isinstance(body, dict):
        raise SealError("seal.field", f"{where} is not an object")
    for name, value in expected.items():
        if name not in body:
            raise SealError("seal.field", f"{where}.{name} is missing")
        found = body[name]
        if found == value and type(found) is type(value):
            continue
        if name == "version":
            raise SealError(
                "seal.version",
                f"{where} has version {found!r}, this Accord reads {value}",
                "read it with the Accord that wrote it, or a newer one",
            )
        raise SealError("seal.field", f"{where}.{name} is not {value!r}")
    return {name: value for name, value in body.items() if name not in expected}


def b64_line(data: bytes) -> bytes:
    """Ordinary base64 and a newline, as a key-encryption key lies in its file."""
    return base64.b64encode(data) + b"\n"


class Fields:
    """Reads an object's fields, each once and of its type; what is left over at :meth:`end` is refused.

    Every method raises :class:`SealError` (``seal.field``) and names the field by its path.
    """

    def __init__(self, body: object, where: str) -> None:
        if not isinstance(body, dict):
            raise SealError("seal.field", f"{where} is not an object")
        self._left = dict(body)
        self._where = where

    def take(self, name: str) -> Any:
        """The field's raw value."""
        try:
            return self._left.pop(name)
        except KeyError:
            raise SealError("seal.field", f"{self._where}.{name} is missing") from None

    def given(self, name: str) -> bool:
        """Whether a field is there that came later than the others of its document."""
        return name in self._left

    def text(self, name: str) -> str:
        value = self.take(name)
        return value if isinstance(value, str) else self.bad(name, "a text")

    def optional_text(self, name: str) -> str | None:
        value = self.take(name)
        return value if value is None or isinstance(value, str) else self.bad(name, "a text or null")

    def whole(self, name: str, least: int | None = 0) -> int:
        value = self.take(name)
        if type(value) is not int or (least is not None and value < least):
            self.bad(name, "a whole number" if least is None else f"a whole number from {least}")
        return int(value)

    def optional_whole(self, name: str) -> int | None:
        value = self.take(name)
        if value is not None and (type(value) is not int or value < 0):
            self.bad(name, "a whole number from 0, or null")
        return None if value is None else int(value)

    def truth(self, name: str) -> bool:
        value = self.take(name)
        return value if isinstance(value, bool) else self.bad(name, "true or false")

    def number(self, name: str) -> float:
        value = self.take(name)
        return float(value) if type(value) in (int, float) else self.bad(name, "a number")

    def time(self, name: str) -> datetime:
        return self._time(name, self.text(name))

    def optional_time(self, name: str) -> datetime | None:
        value = self.optional_text(name)
        return None if value is None else self._time(name, value)

    def sha256(self, name: str) -> str:
        value = self.text(name)
        return value if _HEX256.fullmatch(value) else self.bad(name, "a SHA-256 in hex")

    def binary(self, name: str, length: int | None = None) -> bytes:
        """base64url without padding, in its one spelling."""
        value = self.text(name)
        try:
            data = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            self.bad(name, "base64url")
        if b64(data) != value or (length is not None and len(data) != length):
            self.bad(name, "base64url" if length is None else f"{length} bytes in base64url")
        return data

    def one_of(self, name: str, values: tuple[str, ...]) -> str:
        value = self.text(name)
        return value if value in values else self.bad(name, f"one of {', '.join(values)}")

    def optional_one_of(self, name: str, values: tuple[str, ...]) -> str | None:
        value = self.optional_text(name)
        if value is not None and value not in values:
            self.bad(name, f"null or one of {', '.join(values)}")
        return value

    def const(self, name: str, value: str | int) -> None:
        found = self.take(name)
        if found != value or type(found) is not type(value):
            if name == "version":
                raise SealError(
                    "seal.version",
                    f"{self._where} has version {found!r}, this Accord reads {value}",
                    "read it with the Accord that wrote it, or a newer one",
                )
            self.bad(name, repr(value))

    def list(self, name: str) -> list[Any]:
        value = self.take(name)
        return value if isinstance(value, list) else self.bad(name, "a list")

    def texts(self, name: str) -> tuple[str, ...]:
        values = self.list(name)
        if not all(isinstance(value, str) for value in values):
            self.bad(name, "a list of texts")
        return tuple(values)

    def hashes(self, name: str) -> tuple[str, ...]:
        values = self.texts(name)
        if not all(_HEX256.fullmatch(value) for value in values):
            self.bad(name, "a list of SHA-256 in hex")
        return values

    def fields(self, name: str) -> Fields:
        return Fields(self.take(name), f"{self._where}.{name}")

    def each(self, name: str) -> tuple[Fields, ...]:
        return tuple(Fields(value, f"{self._where}.{name}[{n}]") for n, value in enumerate(self.list(name)))

    def string_map(self, name: str) -> dict[str, str]:
        value = self.take(name)
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            self.bad(name, "an object of texts")
        return dict(value)

    def end(self) -> None:
        """Nothing may be left: an unknown field might change what the others mean."""
        if self._left:
            names = ", ".join(sorted(self._left))
            raise SealError("seal.unknown_field", f"{self._where} has fields unknown to version 1: {names}")

    def bad(self, name: str, expected: str) -> NoReturn:
        raise SealError("seal.field", f"{self._where}.{name} is not {expected}")

    def _time(self, name: str, value: str) -> datetime:
        try:
            at = from_iso(value)
        except ValueError:
            self.bad(name, "a time in UTC")
        return at if to_iso(at) == value else self.bad(name, "a time in UTC with milliseconds")
