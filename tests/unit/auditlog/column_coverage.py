"""The columns of each table that an audit compares, and why it need not compare the others.

docs/reference/security.md shows the second list, and ``tests/unit/auditlog/test_coverage.py`` checks both
against the tables and an audit: it changes each column of :data:`COMPARED`, and the audit must report it.
What leaves state is compared; every other column must be in :data:`OTHERWISE` or :data:`EXCEPTED`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
        "invitation": "language token_sha256 until", "request_review": "disclosure",
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


def _by(how: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), how)


_WORK: Final = "a work queue: each item is checked again before anything is done"
_LIVE: Final = (
    "the node's worker rewrites the rows of its calls every few seconds, and carries out a live command only "
    "for the customer that the take names"
)
_LISTED: Final = (
    "derived from the calls' rows by triggers; a wrong one at most leaves a call out of the list, until "
    "`accord rebuild` derives it again"
)
_DRAFT: Final = (
    "a draft, which is shown and heard again before it is switched on: the form names the hash of what was "
    "heard"
)
_NAMES: Final = "nothing refers to it"
_ROOM: Final = (
    "what players in a room do, and who is shown in it; the gate checks each listener at each request all "
    "the same"
)
_SEALED: Final = (
    "encrypted for its own row, and sent only as it was written; a row that is changed or made up is deleted"
)
_INDEX: Final = "the number of the leaf that confirms the row: with a wrong one, the row is ignored"

EXCEPTED: Final[Mapping[str, Mapping[str, str]]] = {
    "session": _by(
        "the last request, written with each request; a session that would last too long is refused",
        "seen_at until network",
    )
    | {"device": "shown to its user alone, and decides nothing"},
    "second_factor": {
        "app_key": "it must open to the secret whose SHA-256 was signed, or no code of the app is accepted"
    },
    "second_factor_use": _by(
        "refuses used codes; without it, an app's code is accepted again until its minute is over",
        "id user_id counter used_at",
    ),
    "sound": {"created_at": "neither decides nor shows anything"},
    "line_delete": {"id": _NAMES},
    "line_keep": {"id": _NAMES},
    "line_draft": _by(_DRAFT, "line_id settings greeting changed_at changed_by"),
    "access_grant": {
        "until": "a grant that would last longer than 15 minutes from now is ignored",
        "ended_at": "ends a grant early, or lets it run for up to 15 minutes; the gate checks user, session, "
        "role, purpose and seal at each request",
        **_by(_INDEX, "leaf renewals"),
    },
    "listen": {
        "play": "only assigns bytes to an open listen; each listen has its leaf",
        "last_sent_at": "neither decides nor shows anything",
        "leaf": _INDEX,
    },
    "log_leaf": {"id": "only a name to find a leaf by: a proof shows the leaf itself"},
    "change_counter": _by(
        "triggers the writing of a node's snapshot, which is written within the hour anyway",
        "name number",
    ),
    "retention_limit": _by(
        "progress of applying a limit; at worst it is applied again, or earlier", "applied_after applied_at"
    ),
    "pending_amendment": _by(_WORK, "recording_id tenant_id since"),
    "global_state": _by(
        "progress of a rebuild, which reads skipped places when it is run again", "data since"
    ),
    "rebuild_queue": _by(_WORK, "place names recording_id outcome code message"),
    "node_report": _by(
        "tells operators how a node is, and admins that nothing is recorded; a made-up one alarms them, or "
        "leaves them to learn it from the list of calls",
        "node reported_at watched_at software live backlog oldest_at quarantine disk_size disk_free root "
        "keks",
    ),
    "lease": _by("saves work and decides nothing; it expires after five minutes", "name owner until"),
    "live_call": _by(
        _LIVE,
        "id tenant_id node line_id number direction external_kind external_value started_at announced "
        "paused_until deletable seen_at",
    ),
    "ended_call": _by(
        "the node's worker rewrites the rows of its calls every few seconds; they only say that a recording "
        "is being stored",
        "id tenant_id node line_id number direction external_kind external_value started_at ended_at "
        "announced seen_at",
    ),
    "live_command": _by(
        "the node that carries out the command, for ten seconds: a node without the call does nothing, and "
        "an unsigned command is never carried out",
        "node taken_at",
    ),
    "subject_request": {"leaves": _INDEX},
    "verification_call": {"leaves": _INDEX},
    "room": _by(_ROOM, "id tenant_id seq recording_id playing position_ms at_ms rate leader"),
    "room_member": _by(_ROOM, "id tenant_id room_id user_id seen_ms ready"),
    "handover_fetch": _by(_INDEX, "id tenant_id leaf"),
    "listed_call": _by(
        "derived from the call's row by triggers, for a filter of the list alone", "consent agreement"
    ),
    "listed_line": _by(_LISTED, "id tenant_id line_id number"),
    "listed_party": _by(_LISTED, "id tenant_id value"),
    "party_suffix": _by(_LISTED, "tenant_id suffix party"),
    "saved_filter": _by(
        "a person's own choice of query arguments; it selects among what they may see anyway",
        "id tenant_id user_id name arguments created_at",
    ),
    "notification": _by(
        "information that decides nothing; a mail about it goes to admins whose rows are as signed",
        "id tenant_id kind cause key line_id recording_id data since ended_at outcome changed_at mailed "
        "mailed_at",
    ),
    "notification_choice": _by(
        "a person's own choice of how to be told", "id tenant_id choices read_until read_marks"
    ),
    "throttle": _by("delays log-ins, and lets nobody in", "key empty_ms known_until"),
    "account_link": _by(
        "ends links and opens none: what a link is for is in its token, under the panel's secret",
        "id tenant_id token_sha256 until",
    ),
    "outgoing_mail": _by(_SEALED, "id tenant_id about content until")
    | _by(
        "progress of sending: at worst a mail comes later, twice or not at all",
        "kind created_at attempts next_at send_from refused",
    ),
    "log_checkpoint": _by(
        "progress of storing and timestamping, which can be repeated", "stored_at stamped_at"
    ),
    "checkpoint_recipient": _by(
        "the last mail: at worst there is one more, or none for a day", "sent_at sent_number"
    ),
}
"""By table and column: the reason why it is not compared."""

BY_STATEMENTS: Final = (
    "offboarding", "handover_recording", "erased_call", "dispute", "dispute_statement", "dispute_recording",
    "dispute_guest",
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


def exceptions() -> Iterable[tuple[str, str, str]]:
    """Each exception's table, columns and reason, as docs/reference/security.md lists them."""
    for table, columns in EXCEPTED.items():
        reasons: dict[str, list[str]] = {}
        for name, reason in columns.items():
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            yield table, ", ".join(names), reason
