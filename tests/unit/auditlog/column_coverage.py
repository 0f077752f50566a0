"""What an audit compares each column of each table with, or why it need not.

docs/reference/security.md shows this list, and ``tests/unit/auditlog/test_coverage.py`` checks it against the
tables and an audit: it changes each column of :data:`COMPARED`, and the audit must report it. Every new
column must be in one of the two mappings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

SIGNED: Final = "the manifest and its amendments"
BUCKET: Final = "the wrapped key in the bucket"
LEAVES: Final = "the leaves' own hashes, and the tree that was signed"
NOTE: Final = "the signed note"
CREDENTIAL: Final = "its own signature, and what it says of the row"


def _by(how: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), how)


def _leaf(kinds: str, names: str) -> dict[str, str]:
    return _by(f"leaf {kinds}", names)


def _at(kind: str, name: str) -> dict[str, str]:
    return {name: f"leaf {kind}: when it was written"}


COMPARED: Final[Mapping[str, Mapping[str, str]]] = {
    "tenant": _leaf(
        "tenant.created, tenant.changed, tenant.country_changed, tenant.plan_changed",
        "id name language languages time_zone plan country",
    )
    | _leaf("tenant.created, tenant.key_wrapped, tenant.key_changed (SHA-256)", "wrapped_key")
    | _by("the number of leaves", "log_size")
    | _leaf("log.restarted; 1 without one", "log_epoch")
    | _at("tenant.created", "created_at"),
    "user_account": _leaf("user.created", "id tenant_id")
    | _leaf("user.created, user.access_changed", "role lines")
    | _leaf(
        "user.created, user.password_changed, user.login_changed, user.profile_changed (login_sha256, "
        "profile_sha256)",
        "login name language password_hash",
    )
    | _by(CREDENTIAL, "credential")
    | _at("user.created", "created_at")
    | _at("user.revoked", "revoked_at"),
    "second_factor": _leaf("user.factors_changed", "id tenant_id number")
    | _by("its own signature, and the leaf's SHA-256", "statement"),
    "sign_in_rule": _leaf("tenant.sign_in_changed", "id tenant_id number")
    | _by("its own signature, and the leaf's SHA-256", "statement"),
    "download_permission": _leaf("user.download_changed", "id tenant_id number")
    | _by("its own signature, and the leaf's SHA-256", "statement"),
    "branding": _leaf("provider.branding_changed", "id tenant_id number")
    | _by("its own signature, and the leaf's SHA-256", "statement"),
    "second_factor_reset": _leaf("user.factor_reset_requested", "id tenant_id user_id requested_by")
    | _by("its own signature, and the leaf's SHA-256", "statement")
    | _at("user.factor_reset_requested", "requested_at")
    | _at("user.factor_reset_ended", "ended_at"),
    "invitation": _leaf("invitation.created", "id tenant_id")
    | _leaf("invitation.created, invitation.renewed", "role lines statement")
    | _by(CREDENTIAL, "address name language token_sha256 until")
    | _at("invitation.created", "created_at")
    | _leaf("invitation.accepted, invitation.withdrawn", "ended_at outcome"),
    "session": _leaf("session.opened", "id user_id token_sha256")
    | _at("session.opened", "created_at")
    | _at("session.closed", "ended_at"),
    "sound": _by("each other: a sound is called by its SHA-256", "sha256 wav duration_ms"),
    "purpose": _by(
        "nothing makes one: each row is named",
        "id tenant_id code labels legal_basis longest_days roles created_at",
    ),
    "announcement": _leaf(
        "announcement.created",
        "id tenant_id name version language text purposes keep_days sound_sha256 mode question_text "
        "question_sha256 declined_text declined_sha256 composed greeting_sha256",
    )
    | _at("announcement.created", "created_at"),
    "line": _leaf(
        "line.created, line.changed",
        "id tenant_id number digits label mode timing formats announcement_id others menu_text menu_sha256 "
        "keep deletable beep transfer_notice outbound",
    )
    | _at("line.created", "since")
    | _at("line.ended", "until"),
    "line_delete": _leaf(
        "line.changed (line_delete_sha256)",
        "line_id language question_text question_sha256 deleted_text deleted_sha256",
    ),
    "line_keep": _leaf(
        "line.changed (line_keep_sha256)",
        "line_id language question_text question_sha256 cue_text cue_sha256 yes_text yes_sha256 no_text "
        "no_sha256 none_text none_sha256",
    ),
    "recording": _by(
        SIGNED,
        "id tenant_id line_id number direction started_at duration_ms announcement_id announcement_version "
        "announced purposes restricted keep_answer agreement consented_until keep_until prefix "
        "manifest_sha256 objects stored_bytes stored_at erased_at erasure_reason import_sha256",
    )
    | _by(
        "the manifest's parties, with a key-encryption key",
        "external_kind external_value internal_kind internal_value",
    )
    | _by(BUCKET, "wrapped_key"),
    "unrecorded_call": _leaf(
        "call.not_recorded",
        "id tenant_id line_id number direction node external_kind external_value started_at ended_at reason "
        "quarantined_until",
    )
    | _at("call.not_recorded", "listed_at"),
    "access_grant": _leaf(
        "grant.given", "id tenant_id user_id session_id recording_id purpose manifest_sha256"
    )
    | _at("grant.given", "granted_at"),
    "listen": _leaf("listen.opened", "id tenant_id grant_id name")
    | _leaf("listen.closed", "sent_bytes listen_report")
    | _at("listen.opened", "opened_at")
    | _at("listen.closed", "closed_at"),
    "call_note": _leaf("note.added", "id tenant_id recording_id user_id kind at_ms")
    | _leaf("note.added, note.edited, note.deleted (SHA-256)", "text")
    | _leaf("note.deleted", "deleted_by")
    | _at("note.added", "created_at")
    | _at("note.edited", "edited_at")
    | _at("note.deleted", "deleted_at"),
    "log_leaf": _by(LEAVES, "tenant_id number kind at recording_id body salt leaf leaf_hash"),
    "amendment": _by(SIGNED, "id tenant_id recording_id number kind at by_kind by_id data sha256 ended_by"),
    "retention_limit": _by("the signed statement, in the bucket too", "id tenant_id statement lifted")
    | _leaf("retention_limit.set, retention_limit.lifted", "leaf lifted_leaf"),
    "global_state": _by("a rebuild's progress is the only one there is", "name"),
    "usage_day": _leaf(
        "usage.counted", "id tenant_id day part time_zone lines calls duration_ms bytes until through"
    )
    | _at("usage.counted", "counted_at"),
    "live_command": _leaf("command.requested", "id tenant_id call_id action by_kind by_id")
    | _by(CREDENTIAL, "command until")
    | _at("command.requested", "requested_at")
    | _leaf("command.answered", "outcome")
    | _at("command.answered", "answered_at"),
    "api_token": _leaf("token.created", "id tenant_id name token_sha256")
    | _by(CREDENTIAL, "credential")
    | _at("token.created", "created_at")
    | _at("token.revoked", "revoked_at"),
    "log_subtree": _by(LEAVES, "id tenant_id level number hash"),
    "log_checkpoint": _by(NOTE, "id tenant_id number epoch size root at note place"),
    "checkpoint_recipient": _leaf("recipient.added", "id tenant_id address")
    | _at("recipient.added", "since")
    | _at("recipient.removed", "until"),
    "subject_request": _leaf(
        "subject_request.received (the number by a salted hash)",
        "id tenant_id number number_salt wants language received_on due_on entered_kind entered_by",
    )
    | _at("subject_request.received", "entered_at")
    | _leaf("subject_request.extended", "extended_at extension_reason")
    | _leaf("subject_request.vouched", "vouched_at vouched_by vouched_statement")
    | _leaf("subject_request.verified", "verified_at verified_how verified_by verified_statement")
    | _leaf("subject_request.closed", "closed_at closed_how")
    | _at("subject_request.exported", "exported_at"),
    "verification_code": _leaf(
        "subject_request.call_ordered (the number by a salted hash)",
        "id request_id tenant_id number language ordered_at until",
    )
    | _leaf("subject_request.code_created", "node taken_at code_hash valid_until")
    | _leaf("subject_request.code_tried", "tries")
    | _leaf("subject_request.called", "outcome"),
    "number_proof": _leaf(
        "number.call_ordered (the number by a salted hash)",
        "id tenant_id number number_salt language ordered_at until",
    )
    | _leaf("number.code_created", "node taken_at code_hash valid_until")
    | _leaf("number.code_tried", "tries")
    | _leaf("number.called", "outcome")
    | _leaf("number.proved", "line_id"),
    "dispute_call": _leaf(
        "dispute.call_ordered (the number by a salted hash)",
        "id dispute_id guest_id tenant_id number number_salt language ordered_at until",
    )
    | _leaf("dispute.code_created", "node taken_at code_hash valid_until")
    | _leaf("dispute.code_tried", "tries")
    | _leaf("dispute.called", "outcome"),
    "listed_call": _by(
        "the call's row",
        "id tenant_id started_ms recorded line external internal direction duration_ms reason",
    ),
    "request_review": _leaf(
        "subject_request.recording_reviewed",
        "id request_id recording_id given withheld_reason decided_at decided_by",
    )
    | _by(CREDENTIAL, "disclosure")
    | _at("recording.exported", "exported_at")
    | _leaf(
        "subject_request.recording_erased, subject_request.recording_kept", "erased_at kept_reason kept_until"
    ),
}
"""By table and column: the basis of the comparison."""

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
    "verification_code": {"leaves": _INDEX},
    "number_proof": {"leaves": _INDEX},
    "dispute_call": {"leaves": _INDEX},
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


def exceptions() -> Iterable[tuple[str, str, str]]:
    """Each exception's table, columns and reason, as docs/reference/security.md lists them."""
    for table, columns in EXCEPTED.items():
        reasons: dict[str, list[str]] = {}
        for name, reason in columns.items():
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            yield table, ", ".join(names), reason
