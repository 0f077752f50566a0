"""The documents beside the audio in a departing customer's archive: each has the same bytes whenever it is
produced.

So each contains only what no longer changes: what was sealed, immutable rows, and the log's leaves up to its
size when the handover began. Documents about one recording are in its folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from recorder import csv_rows
from recorder.catalogue.database import connected
from recorder.catalogue.mappers import recording_row
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.announcement import AnnouncementTable, SoundTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.clock import to_iso
from recorder.features.offboarding.handover_queries import HandedRow
from recorder.seal import canonical_json
from recorder.seal.manifest import Manifest, Parties
from recorder.strict_json import b64

ROWS: Final = 1000
"""Recordings in one part of the table, and leaves in one part of the log."""

COLUMNS: Final = (
    "recording", "began_at", "milliseconds", "direction", "number", "external_party", "internal_party",
    "announcement",
    "version", "import_sha256", "manifest_sha256", "omitted",
)  # fmt: skip

HEAD: Final = (",".join(COLUMNS) + "\n").encode()


def parties_document(manifest: Manifest, parties: Parties) -> bytes:
    """The parties, which the manifest contains encrypted."""
    body = {
        "recording": manifest.recording,
        "external_party": {"kind": parties.external_party.kind, "value": parties.external_party.value},
        "internal_party": None
        if parties.internal_party is None
        else {"kind": parties.internal_party.kind, "value": parties.internal_party.value},
        "participants": [
            {"offset_ms": each.offset_ms, "party": {"kind": each.party.kind, "value": each.party.value}}
            for each in parties.participants
        ],
    }
    return canonical_json.dump(body) + b"\n"


def recording_line(row: RecordingRow, omission: str | None) -> bytes:
    """A recording's row in the table, before it is erased."""
    return csv_rows.row(
        (
            row.id, to_iso(row.started_at), row.duration_ms, row.direction, row.number,
            *(each.value if each else "" for each in (row.external_party, row.internal_party)),
            row.announcement, row.announcement_version, row.import_sha256 or "", row.manifest_sha256,
            omission or "",
        )
    ).encode()  # fmt: skip


def recording_table(tenant: str, rows: Sequence[HandedRow]) -> bytes:
    """A part of the table; the row of an erased recording is spaces."""
    with connected():
        condition = (RecordingTable.tenant == tenant) & RecordingTable.id.in_([row.recording for row in rows])
        rows_by_id = {row.id: recording_row(row) for row in RecordingTable.select().where(condition)}
    lines = [HEAD]
    for row in rows:
        found = rows_by_id.get(row.recording)
        erased = found is None or found.erased_at is not None
        line = b"" if erased or found is None else recording_line(found, row.omission)
        lines.append(line if len(line) == row.row_length else b" " * (row.row_length - 1) + b"\n")
    return b"".join(lines)


def log_part(tenant: str, first: int, end: int) -> bytes:
    """Leaves from ``first`` to ``end``, a line of JSON each. Bodies are included unless they are about a
    recording, which has its own log, or about an unrecorded call, which may be erased."""
    with connected():
        condition = (LeafTable.tenant == tenant) & (LeafTable.number >= first) & (LeafTable.number < end)
        rows = list(LeafTable.select().where(condition).order_by(LeafTable.number))
    return b"".join(_leaf(row, row.recording_id is None) for row in rows)


def recording_log(tenant: str, recording: str, end: int) -> bytes:
    """The leaves about one recording, likewise."""
    with connected():
        condition = (LeafTable.tenant == tenant) & (LeafTable.recording_id == recording)
        rows = LeafTable.select().where(condition & (LeafTable.number < end)).order_by(LeafTable.number)
        return b"".join(_leaf(row, True) for row in rows)


def _leaf(row: LeafTable, whole: bool) -> bytes:
    salt = None if row.salt is None or not whole else b64(bytes(row.salt))
    line = {"leaf": row.leaf, "body": row.body if whole else None, "salt": salt}
    return json.dumps(line, ensure_ascii=True, sort_keys=True).encode() + b"\n"


def announcements(tenant: str, until: datetime) -> tuple[bytes, tuple[str, ...]]:
    """Every announcement that was made by ``until``, and the hashes of their sounds."""
    with connected():
        condition = (AnnouncementTable.tenant == tenant) & (AnnouncementTable.created_at <= until)
        rows = list(AnnouncementTable.select().where(condition).order_by(AnnouncementTable.id))
    entries = [
        {
            "id": row.id,
            "name": row.name,
            "version": row.version,
            "language": row.language,
            "text": row.text,
            "mode": row.mode,
            "purposes": row.purposes,
            "keep_days": row.keep_days,
            "sound_sha256": row.sound_id,
            "created_at": to_iso(row.created_at),
        }
        for row in rows
    ]
    content = json.dumps(entries, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"
    return content, tuple(sorted({row.sound_id for row in rows}))


def announcement_sound(sha256: str) -> bytes:
    """An announcement's sound (WAV); empty if it is missing."""
    with connected():
        row: Any = SoundTable.get_or_none(SoundTable.sha256 == sha256)
    return b"" if row is None else bytes(row.wav)


_README: Final = """\
Contents of this archive, and how to verify them
================================================

These are the recordings of one customer of Accord, and the records that belong to them, as they were when
the handover began. Everything can be read without Accord; docs/reference/formats.md of Accord describes
each format.

recordings/<id>/  one folder per recording
    audio.opus, audio.wav     the audio: on the left the external party, on the right what they heard; of
                              imported recordings, the channels of the imported file
    manifest.json             the document sealed after the call: time, announcement, purposes, hashes; signed
    amendment-0001.json ...   documents sealed later, signed
    about.json                the parties
    log.jsonl                 the log's leaves about the recording, with their bodies
tables/           all recordings, including those left out, with the reason (omitted); unrecorded calls,
                  numbers, retention limits, subject requests, and the names that you gave numbers
                  (contacts)
announcements/    the announcements: their texts (announcements.json), and their sounds by SHA-256
log/              all leaves of the log, with their bodies unless they are about a recording;
                  checkpoint.note is the last signed checkpoint, root.pub the key that all signatures rest on

Recordings that may no longer be used are left out: those that were not announced, whose purposes have all
ended, or that were to be deleted.

A recording that was erased after the handover had begun consists of zeros, and its row in the table of
spaces; so does the row of an erased call. Nothing else moves, so an interrupted download can resume at any
byte. The same applies to a recording whose seal was found broken while it was sent.

To verify audio: its SHA-256 is plain_sha256 of its object in manifest.json. To verify a manifest: the key in
its endorsement, which root.pub signed, made its signature. To verify the log: the leaves in log/, in order,
are an RFC 6962 tree whose root is in checkpoint.note; a commitment is the HMAC-SHA-256 of the body, keyed
with the salt.
"""


def readme() -> bytes:
    """The first file, which explains the others."""
    return _README.encode()
