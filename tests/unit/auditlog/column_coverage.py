"""The columns of each table that an audit compares, and why it need not compare the others.

The second list is in the models, and ``tests/unit/auditlog/test_coverage.py`` checks both against the tables
and an audit: it changes each column of :data:`COMPARED`, and the audit must report it.
What leaves state is compared; every other column must be in :data:`OTHERWISE` or :data:`EXCEPTED`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from recorder.audit.leaf_schema import STATEMENTS
from recorder.catalogue.tables.registry import TABLES

EVERY: Final = "every column"

OTHERWISE: Final[Mapping[str, Mapping[str, str]]] = {
    "the manifest, its amendments, the wrapped key in the bucket": {"recording": EVERY, "amendment": EVERY},
    "the signed statement, in the bucket too, and the leaves about it": {"retention_limit": EVERY},
    "the leaves' own hashes, and the tree that was signed": {"log_leaf": EVERY, "log_subtree": EVERY},
    "the signed note": {"log_checkpoint": EVERY},
    "the number of leaves": {"tenant": "log_size"},
    "its own signature, and what it says of the row": {
        "user_account": "credential", "api_token": "credential", "live_command": "command until",
        "invitation": "language extensions token_sha256 until", "request_review": "disclosure",
    },
    "leaf user.… (login_sha256, profile_sha256)": {"user_account": "login name language password_hash"},
    "leaf line.changed (line_delete_sha256, line_keep_sha256)": {"line_delete": EVERY, "line_keep": EVERY},
    "a salted hash in a leaf": {"subject_request": "number_salt", "verification_call": "number_salt"},
    "its hash": {"sound": EVERY},
    "nothing makes one: each row is named": {"purpose": EVERY},
    "a rebuild's progress is the only one there is": {"global_state": "name"},
    "the call's row": {"listed_call": EVERY},
}  # fmt: skip
"""What is compared with something else than a leaf's own words: by what, table and columns."""


EXCEPTED: Final[Mapping[str, Mapping[str, str]]] = {
    model._meta.table_name: {name: reason for names, reason in model.not_compared for name in names.split()}
    for model in TABLES
    if model.not_compared
}
"""By table and column: the reason why it is not compared."""

BY_STATEMENTS: Final = (
    "offboarding", "handover_recording", "erased_call", "dispute", "dispute_statement", "dispute_recording",
    "dispute_guest", "room_code",
)  # fmt: skip
"""Tables that decide nothing: signed statements do (offboarding, erased calls, disputes), and a separate
module compares the rows with those."""


class _AnyBody(dict[str, Any]):
    """A leaf's body that has every field, with one value."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __contains__(self, _name: object) -> bool:
        return True

    def __missing__(self, _name: str) -> Any:
        return self._value


def _compared(table: str, columns: Sequence[str]) -> list[str]:
    """Columns that leaves state, with the id and customer of rows of which they state anything, and those
    that are compared otherwise."""
    statements = [each for each in STATEMENTS.values() if each.model._meta.table_name == table]
    stated = {name for each in statements for value in (1, "x") for name in each.columns(_AnyBody(value))}
    stated |= {"id", "tenant_id"} if statements else set()
    found = [name for name in columns if name in stated]
    for listed in OTHERWISE.values():
        names = listed.get(table, "")
        found += (
            [each for each in columns if each not in EXCEPTED.get(table, ())]
            if names == EVERY
            else names.split()
        )
    return list(dict.fromkeys(found))


COMPARED: Final[Mapping[str, Sequence[str]]] = {
    model._meta.table_name: found
    for model in TABLES
    if model._meta.table_name not in BY_STATEMENTS
    and (found := _compared(model._meta.table_name, [each.column_name for each in model._meta.sorted_fields]))
}
"""By table: the columns that an audit compares."""
