"""Notes and labels that a customer's people write about a recording.

A row changes together with its leaf. Leaves contain no text, only its SHA-256, which is erased with the
recording; an audit compares both. Notes are personal data: they are deleted when the recording is erased
(:func:`recorder.lifecycle.recordings.make_tombstone`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from recorder.auditlog.append import append, sha256_of, tenant_lock
from recorder.catalogue.database import connected
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.note import NoteTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.errors import NoteError
from recorder.features.notes import rules
from recorder.ids import Entropy, uuid7

ADDED = "note.added"
EDITED = "note.edited"
DELETED = "note.deleted"


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A note or a label. ``at_ms`` is the moment that it is about, in milliseconds of audio (``None``: the
    whole call); ``name`` is its author's."""

    id: str
    user: str
    name: str
    kind: str
    at_ms: int | None
    text: str
    created_at: datetime
    edited_at: datetime | None


def notes_of(tenant: str, recording: str) -> tuple[NoteRow, ...]:
    """The notes and labels of a tenant's recording, oldest first."""
    mine = (NoteTable.tenant == tenant) & (NoteTable.recording == recording) & NoteTable.deleted_at.is_null()
    with connected():
        query = NoteTable.select(NoteTable, UserTable.id, UserTable.name).join(UserTable).where(mine)
        return tuple(
            # SQLite keeps any text in a number's place; the audit names the row, and the page goes on.
            read_value(
                NoteRow, row, name=row.user.name, at_ms=row.at_ms if isinstance(row.at_ms, int) else None
            )
            for row in query.order_by(NoteTable.created_at, NoteTable.id)
        )


def labels_in_use(tenant: str, lines: Collection[str] | None) -> tuple[str, ...]:
    """The tenant's own labels on recordings of some ``lines`` (``None``: of all), in order."""
    mine = (NoteTable.tenant == tenant) & (NoteTable.kind == rules.LABEL) & NoteTable.deleted_at.is_null()
    query = NoteTable.select(NoteTable.text).distinct().where(mine)
    if lines is not None:
        query = query.join(RecordingTable).where(RecordingTable.line_id.in_([*lines]))
    with connected():
        return tuple(row.text for row in query.order_by(NoteTable.text))


def add_note(
    tenant: str,
    recording: str,
    user: str,
    *,
    text: str,
    at_ms: int | None,
    now: datetime,
    entropy: Entropy,
) -> None:
    """Add a note. Raises :class:`NoteError` (``note.text``, ``note.too_long``, ``note.too_many``,
    ``note.gone`` if there is no such recording)."""
    _add(tenant, recording, user, rules.NOTE, rules.check_note(text), at_ms, rules.MOST_NOTES, now, entropy)


def add_label(tenant: str, recording: str, user: str, *, text: str, now: datetime, entropy: Entropy) -> None:
    """Add a label; no effect if the recording has it. Raises :class:`NoteError` (``label.text``,
    ``note.too_many``, ``note.gone``)."""
    label = rules.check_label(text)
    if all(each.kind != rules.LABEL or each.text != label for each in notes_of(tenant, recording)):
        _add(tenant, recording, user, rules.LABEL, label, None, rules.MOST_LABELS, now, entropy)


def edit_note(
    tenant: str, recording: str, note: str, user: str, *, text: str, now: datetime, entropy: Entropy
) -> None:
    """Change the text of one's own note. Raises :class:`NoteError` (``note.text``, ``note.too_long``,
    ``note.not_yours``, ``note.gone``)."""
    checked = rules.check_note(text)
    with tenant_lock(tenant):
        row = _find(tenant, recording, note)
        if row.user_id != user or row.kind != rules.NOTE:
            raise NoteError("note.not_yours", "only the author can change a note", "write a note of your own")
        if row.text == checked:
            return
        NoteTable.update(text=checked, edited_at=now).where(NoteTable.id == row.id).execute()
        body = {"note": row.id, "recording": recording, "user": user, "text_sha256": sha256_of(checked)}
        append(tenant, EDITED, body, now, entropy, recording=recording)


def delete_note(
    tenant: str, recording: str, note: str, user: str, *, any_author: bool, now: datetime, entropy: Entropy
) -> None:
    """Delete a note or a label: the text goes, that there was one stays. Anybody may remove a label; a note
    only its author, or with ``any_author`` everybody. Raises :class:`NoteError` (``note.not_yours``,
    ``note.gone``)."""
    with tenant_lock(tenant):
        row = _find(tenant, recording, note)
        if not any_author and row.kind != rules.LABEL and row.user_id != user:
            raise NoteError(
                "note.not_yours",
                "only the author or an admin can delete a note",
                "ask its author or an admin",
            )
        NoteTable.update(text="", deleted_at=now, deleted_by=user).where(NoteTable.id == row.id).execute()
        body = {"note": row.id, "recording": recording, "user": user}
        append(tenant, DELETED, body, now, entropy, recording=recording)


def _add(
    tenant: str,
    recording: str,
    user: str,
    kind: str,
    text: str,
    at_ms: int | None,
    most: int,
    now: datetime,
    entropy: Entropy,
) -> None:
    identity = str(uuid7(now, entropy))
    with tenant_lock(tenant):
        condition = (RecordingTable.tenant == tenant) & (RecordingTable.id == recording)
        if not RecordingTable.select().where(condition & RecordingTable.erased_at.is_null()).exists():
            raise NoteError(
                "note.gone",
                "there is no such recording",
                "reload the list: the recording may have been erased",
            )
        # Deleted ones count: each left a leaf.
        if (
            NoteTable.select().where((NoteTable.recording == recording) & (NoteTable.kind == kind)).count()
            >= most
        ):
            raise NoteError(
                "note.too_many",
                f"a recording has at most {most} notes and as many labels",
                "delete one first",
            )
        NoteTable.create(
            id=identity,
            tenant=tenant,
            recording=recording,
            user=user,
            kind=kind,
            at_ms=at_ms,
            text=text,
            created_at=now,
        )
        body: dict[str, object] = {"note": identity, "recording": recording, "user": user, "kind": kind}
        body["text_sha256"] = sha256_of(text)
        if at_ms is not None:
            body["at_ms"] = at_ms
        append(tenant, ADDED, body, now, entropy, recording=recording)


def _find(tenant: str, recording: str, note: str) -> NoteTable:
    mine = (NoteTable.tenant == tenant) & (NoteTable.recording == recording) & (NoteTable.id == note)
    row: NoteTable | None = NoteTable.get_or_none(mine & NoteTable.deleted_at.is_null())
    if row is None:
        raise NoteError("note.gone", "there is no such note", "reload the page: it may have been deleted")
    return row
