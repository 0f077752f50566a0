"""The names that a customer's people give the numbers that call them, or that they call.

A name is their note: shown to them alone, never sealed, and changed by anybody of them. Leaves contain
neither name nor number, only commitments under a salt that goes with the row's content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from recorder.auditlog.append import append_all, tenant_lock
from recorder.catalogue.database import connected
from recorder.catalogue.tables.contact import ContactTable
from recorder.catalogue.tables.identity import UserTable
from recorder.domain import names, phone_numbers
from recorder.domain.parties import LONGEST as LONGEST_NUMBER
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import CatalogueError
from recorder.ids import Entropy, uuid7
from recorder.lifecycle.contact_erasure import erase_contact
from recorder.verification_calls.code import commit_text

NAMED: Final = "contact.named"

AUTHORS: Final = frozenset({ADMIN, CUSTOMER})
"""Roles that name numbers."""

MOST: Final = 10_000
"""Names of a customer; each that is written is a leaf in the log."""

SALT_BYTES: Final = 16
_SOME: Final = 500
"""Rows or numbers in one statement."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A number with its ``name``; ``author`` is the name of who wrote it last."""

    id: str
    number: str
    name: str
    author: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class WrittenNames:
    """How many names were ``added``, and how many numbers have another name than before (``changed``)."""

    added: int = 0
    changed: int = 0


def read_number(text: str, country: str) -> str:
    """The number that somebody in a ``country`` (``be``) names, as calls have it. Raises
    :class:`CatalogueError` (``contact.number``)."""
    number = phone_numbers.read_number(text, country)
    if number is None:
        raise CatalogueError(
            "contact.number", f"{text!r} is not a number", "write the whole number, such as +32 2 555 01 00"
        )
    return number.value


def names_of(tenant: str, numbers: Iterable[str]) -> dict[str, str]:
    """The names of those of some numbers that have one."""
    values = sorted({*numbers})
    found: dict[str, str] = {}
    with connected():
        for begin in range(0, len(values), _SOME):
            some = ContactTable.number.in_(values[begin : begin + _SOME])
            rows: Any = ContactTable.select(ContactTable.number, ContactTable.name)
            found |= dict(rows.where((ContactTable.tenant == tenant) & some).tuples())
    return found


def find_contact(tenant: str, number: str) -> Contact | None:
    """The name of a number, with who wrote it and when; ``None`` if it has none."""
    with connected():
        rows = _contacts(tenant).where(ContactTable.number == number).tuples()
        return next((Contact(*row) for row in rows), None)


def contacts(tenant: str, text: str = "") -> tuple[Contact, ...]:
    """A customer's names, in order; with ``text``, those that it is a part of the name or the number of."""
    with connected():
        rows = [Contact(*row) for row in _contacts(tenant).tuples()]
    folded = names.fold_name(text)
    digits = phone_numbers.strip_punctuation(text).lstrip("+0")
    if folded:
        rows = [
            each
            for each in rows
            if folded in names.fold_name(each.name) or (digits and digits in each.number)
        ]
    return tuple(sorted(rows, key=lambda each: (names.fold_name(each.name), each.number)))


def write_names(
    tenant: str, user: str, new: Mapping[str, str], *, now: datetime, entropy: Entropy
) -> WrittenNames:
    """Give numbers names, all or none; a number's earlier name is replaced. Raises :class:`CatalogueError`
    (``contact.name``, ``contact.number``, ``contact.too_many``)."""
    new = {number: names.tidy(name, "the name", "contact.name") for number, name in new.items()}
    if any(not 0 < len(number) <= LONGEST_NUMBER for number in new):
        raise CatalogueError("contact.number", "this is not a number or an address", "copy it from a call")
    with tenant_lock(tenant):
        mine = (ContactTable.tenant == tenant) & ContactTable.number.is_null(False)
        columns = (ContactTable.number, ContactTable.id, ContactTable.name)
        rows_before: Any = ContactTable.select(*columns).where(mine).tuples()
        known = {number: (identity, name) for number, identity, name in rows_before}
        rows = [
            _row(tenant, user, known.get(number, ("",))[0], number, name, now, entropy)
            for number, name in new.items()
            if number not in known or known[number][1] != name
        ]
        changed = sum(row["number"] in known for row in rows)
        if len(known) + len(rows) - changed > MOST:
            raise CatalogueError(
                "contact.too_many", f"a customer has at most {MOST} names", "delete names that are not needed"
            )
        for begin in range(0, len(rows), _SOME):
            some = rows[begin : begin + _SOME]
            ContactTable.delete().where(ContactTable.id.in_([row["id"] for row in some])).execute()
            ContactTable.insert_many(some).execute()
        append_all(tenant, NAMED, [(_body(row), None) for row in rows], now, entropy)
    return WrittenNames(len(rows) - changed, changed)


def delete_name(tenant: str, user: str, number: str, *, now: datetime, entropy: Entropy) -> None:
    """Delete the name of a number; no effect if it has none."""
    with tenant_lock(tenant) as locked:
        erase_contact(locked, number, user, now=now, entropy=entropy)


def _contacts(tenant: str) -> Any:
    """The columns of a customer's contacts, in the order of :class:`Contact`."""
    columns = (ContactTable.id, ContactTable.number, ContactTable.name, UserTable.name)
    mine = (ContactTable.tenant == tenant) & ContactTable.number.is_null(False)
    return ContactTable.select(*columns, ContactTable.written_at).join(UserTable).where(mine)


def _row(
    tenant: str, user: str, known: str, number: str, name: str, now: datetime, entropy: Entropy
) -> dict[str, Any]:
    return {
        "id": known or str(uuid7(now, entropy)),
        "tenant": tenant,
        "user": user,
        "number": number,
        "name": name,
        "salt": entropy(SALT_BYTES).hex(),
        "written_at": now,
    }


def _body(row: Mapping[str, Any]) -> dict[str, object]:
    return {
        "contact": row["id"],
        "user": row["user"],
        "number_sha256": commit_text(row["number"], row["salt"]),
        "name_sha256": commit_text(row["name"], row["salt"]),
    }
