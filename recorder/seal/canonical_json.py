"""Canonical JSON (RFC 8785) of signed documents; problems are raised as :class:`SealError`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from recorder import strict_json
from recorder.errors import SealError
from recorder.seal import hints
from recorder.strict_json import Form, Malformed, dump_canonical, parse_canonical

Value = TypeVar("Value")


def dump(body: Mapping[str, Any]) -> bytes:
    """Return the RFC 8785 form.  Raises ``ValueError`` for values that it cannot hold (integers beyond 2^53,
    NaN)."""
    return dump_canonical(dict(body))


def load(content: bytes, what: str, largest: int | None = None) -> dict[str, Any]:
    """Parse a document, which must be an object in RFC 8785 form of at most ``largest`` bytes. ``what`` names
    it in errors. Raises :class:`SealError` (``seal.not_json``, ``seal.duplicate_field``,
    ``seal.not_canonical``)."""
    try:
        return parse_canonical(content, largest)
    except Malformed as error:
        message = f"the {what} {error}"
        match error.reason:
            case "duplicate_field":
                raise SealError("seal.duplicate_field", message, hints.DOCUMENT) from None
            case "not_canonical":
                hint = "take another copy of it: another program than Accord wrote or changed it"
                raise SealError("seal.not_canonical", message, hint) from None
            case _:
                raise SealError("seal.not_json", message, hints.DOCUMENT) from None


def read(form: Form[Value], body: object, where: str) -> Value:
    """Read a value from an object, and check that writing the value gives the same object.  ``where`` is its
    path in errors.  Raises :class:`SealError` (``seal.field``; ``seal.unknown_field`` where nothing else is
    wrong)."""
    try:
        value = form.read(body)
    except Malformed as error:
        if error.reason == "unknown_field":
            # An unknown field might change the meaning of the others.
            raise SealError("seal.unknown_field", f"{where}{error} to this version", hints.NEWER) from None
        raise SealError("seal.field", f"{where}{error}", hints.DOCUMENT) from None
    canonical: Any = form.write(value)
    if canonical != body:
        if isinstance(body, dict) and (more := sorted(body.keys() - canonical.keys())):
            raise SealError(
                "seal.unknown_field", f"{where}.{more[0]} is unknown to this version", hints.NEWER
            )
        raise SealError("seal.field", f"{where} has other fields than its kind allows", hints.DOCUMENT)
    return value


def read_time(value: object, where: str) -> datetime:
    """Read a time.  Raises :class:`SealError` (``seal.field``)."""
    try:
        return strict_json.read_time(value)
    except ValueError:
        raise SealError(
            "seal.field", f"{where} is not a time in UTC with milliseconds", hints.DOCUMENT
        ) from None


def read_bytes(value: object, length: int, where: str) -> bytes:
    """Read ``length`` bytes in base64url.  Raises :class:`SealError` (``seal.field``)."""
    try:
        data = strict_json.unb64(value)
    except ValueError:
        data = b""
    if len(data) != length:
        raise SealError("seal.field", f"{where} is not {length} bytes in base64url", hints.DOCUMENT)
    return data


def members(body: object, where: str, *names: str) -> list[Any]:
    """Return the values of an object with exactly the fields ``names``.  Raises :class:`SealError`
    (``seal.field``, ``seal.unknown_field``)."""
    if not isinstance(body, dict):
        raise SealError("seal.field", f"{where} is not an object", hints.DOCUMENT)
    for name in names:
        if name not in body:
            raise SealError("seal.field", f"{where}.{name} is missing", hints.DOCUMENT)
    if more := sorted(body.keys() - {*names}):
        raise SealError("seal.unknown_field", f"{where}.{more[0]} is unknown to this version", hints.NEWER)
    return [body[name] for name in names]


def take_constants(body: object, where: str, expected: Mapping[str, object]) -> dict[str, Any]:
    """Check an object's constant fields, and return the other ones. Raises :class:`SealError`
    (``seal.field``; ``seal.version`` for another ``version``)."""
    if not isinstance(body, dict):
        raise SealError("seal.field", f"{where} is not an object", hints.DOCUMENT)
    for name, value in expected.items():
        if name not in body:
            raise SealError("seal.field", f"{where}.{name} is missing", hints.DOCUMENT)
        found = body[name]
        if found == value and type(found) is type(value):
            continue
        if name == "version":
            raise SealError(
                "seal.version",
                f"{where} has version {found!r}, this Accord reads {value}",
                "read it with the Accord that wrote it, or a newer one",
            )
        raise SealError("seal.field", f"{where}.{name} is not {value!r}", hints.DOCUMENT)
    return {name: value for name, value in body.items() if name not in expected}


def b64_line(data: bytes) -> bytes:
    """Return standard base64 and a newline: the content of a key-encryption key's file."""
    return base64.b64encode(data) + b"\n"
