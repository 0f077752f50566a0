"""The documents beside the sound in a departing customer's archive: each has the same bytes whenever it is
produced.

So each contains only what no longer changes: what was sealed, immutable rows, and the log's leaves up to its
size when the handover began.  Documents about one recording lie beside it.
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
from recorder.features.offboarding.handover import HandedRow
from recorder.seal import canonical_json
from recorder.seal.manifest import Manifest, Parties
from recorder.strict_json import b64

ROWS: Final = 1000
"""Recordings in a part of the table, and leaves in one of the log."""

COLUMNS: Final = (
    "recording", "began_at", "milliseconds", "direction", "number", "external_party", "internal_party",
    "announcement",
    "version", "import_sha256", "manifest_sha256", "omitted",
)  # fmt: skip

HEAD: Final = (",".join(COLUMNS) + "\n").encode()


def about(manifest: Manifest, parties: Parties) -> bytes:
    """What the manifest has encrypted: who spoke."""
    said = {
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
    return canonical_json.dump(said) + b"\n"


def line_of(row: RecordingRow, omission: str | None) -> bytes:
    """A recording's row in the table, while its parties are there."""
    return csv_rows.row(
        (
            row.id, to_iso(row.started_at), row.duration_ms, row.direction, row.number,
            *(each.value if each else "" for each in (row.external_party, row.internal_party)),
            row.announcement, row.announcement_version, row.import_sha256 or "", row.manifest_sha256,
            omission or "",
        )
    ).encode()  # fmt: skip


def table(tenant: str, rows: Sequence[HandedRow]) -> bytes:
    """A part of the table; the row of a recording that is gone is spaces."""
    with connected():
        mine = (RecordingTable.tenant == tenant) & RecordingTable.id.in_([row.recording for row in rows])
        there = {row.id: recording_row(row) for row in RecordingTable.select().where(mine)}
    lines = [HEAD]
    for row in rows:
        found = there.get(row.recording)
        gone = found is None or found.erased_at is not None
        line = b"" if gone or found is None else line_of(found, row.omission)
        lines.append(line if len(line) == row.row_length else b" " * (row.row_length - 1) + b"\n")
    return b"".join(lines)


def leaves(tenant: str, first: int, end: int) -> bytes:
    """Leaves from ``first`` to ``end``, a line of JSON each: with what they commit to, unless that is about a
    recording, with which it goes, or about a call that was not recorded, which a person may have erased."""
    with connected():
        mine = (LeafTable.tenant == tenant) & (LeafTable.number >= first) & (LeafTable.number < end)
        rows = list(LeafTable.select().where(mine).order_by(LeafTable.number))
    return b"".join(_leaf(row, row.recording_id is None) for row in rows)


def leaves_about(tenant: str, recording: str, end: int) -> bytes:
    """The same, of those about one recording."""
    with connected():
        mine = (LeafTable.tenant == tenant) & (LeafTable.recording_id == recording)
        rows = LeafTable.select().where(mine & (LeafTable.number < end)).order_by(LeafTable.number)
        return b"".join(_leaf(row, True) for row in rows)


def _leaf(row: LeafTable, whole: bool) -> bytes:
    salt = None if row.salt is None or not whole else b64(bytes(row.salt))
    said = {"leaf": row.leaf, "body": row.body if whole else None, "salt": salt}
    return json.dumps(said, ensure_ascii=True, sort_keys=True).encode() + b"\n"


def announcements(tenant: str, until: datetime) -> tuple[bytes, tuple[str, ...]]:
    """Every announcement that was made by then, and the hashes of their sounds."""
    with connected():
        mine = (AnnouncementTable.tenant == tenant) & (AnnouncementTable.created_at <= until)
        rows = list(AnnouncementTable.select().where(mine).order_by(AnnouncementTable.id))
    said = [
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
    content = json.dumps(said, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"
    return content, tuple(sorted({row.sound_id for row in rows}))


def sound(sha256: str) -> bytes:
    """An announcement's sound (WAV); empty where it is nowhere."""
    with connected():
        row: Any = SoundTable.get_or_none(SoundTable.sha256 == sha256)
    return b"" if row is None else bytes(row.wav)


_README: Final = """\
What is in here, and how it can be checked
==========================================

These are the recordings of one customer of Accord, and what belongs to them, as they were when the handing
over began. Everything here can be read without Accord; docs/formats.md of Accord describes each format.

recordings/<id>/  one folder a recording
    audio.opus, audio.wav     the sound as it can be heard: left what the outside party said, right what
                              they heard; of what was brought in from elsewhere, as its file had it
    manifest.json             what was sealed after the call: when, announced for what, hashes, signed
    amendment-0001.json …     what was sealed later, signed
    about.json                who spoke
    log.jsonl                 the leaves of the log about it, with what they commit to
tables/           every recording, also those that are not in here, with the reason (omitted); calls that
                  were not recorded, numbers, keeping times, and who asked for recordings of theirs
announcements/    what was said, in words (announcements.json) and as sound, named by its SHA-256
log/              all leaves of the log, with what they commit to where that is about no recording;
                  checkpoint.note is what was last signed of it, root.pub the key that all rests on

Left out is what may not be used for anything any more: recordings of which nothing was announced, whose
purposes have all ended, or that were to be deleted. Who may hear nothing of them is not handed them either.

A recording that was erased after the handing over had begun is not here any more: its files are nothing but
zeros, its row in the table nothing but spaces; so is the row of a call that was erased. So the rest stays
where it is, and a download that was broken off can go on at any byte. The same holds for one whose seal was
found broken while it was read.

To check a sound: its SHA-256 is plain_sha256 of its object in manifest.json. To check a manifest: its
signature is by the key in its endorsement, which root.pub signed. To check the log: the leaves of log/ in
their order are an RFC 6962 tree whose root checkpoint.note says; a commitment is HMAC-SHA-256 of the body
under the salt.
"""


def readme() -> bytes:
    """What comes first, and says what the rest is."""
    return _README.encode()
