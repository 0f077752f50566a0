"""The values that queries return, and their mapping to rows and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import pytest

from recorder.catalogue import mappers, queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import (
    Composition,
    Cursor,
    KeepOptions,
    LineRow,
    NotRecordedRow,
    RecordingRow,
    TransferOptions,
)
from recorder.catalogue.row_values import columns_of, read_value
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.identity import SessionTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.domain.parties import Party
from recorder.domain.sentences import SpokenSentence
from recorder.features.tenants import composition, lines
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.identity import users
from recorder.prompts.sentences import SHORT

FRENCH, ENGLISH, DUTCH = (SpokenSentence(text, text[0] * 64) for text in ("Bonjour.", "Hello.", "Dag."))
OPTIONS = TransferOptions(
    "both",
    {"fr": FRENCH},
    {"opt-in": {"fr": FRENCH, "en": ENGLISH}, "opt-out": {"fr": DUTCH, "en": FRENCH}},
    {"fr": DUTCH, "en": ENGLISH},
)


@pytest.fixture
def line(tenants, announce, clock, entropy) -> LineRow:
    return lines.create_line(
        tenants[0], number="+3225550100", announcement=announce(), now=clock(), entropy=entropy
    )


def test_transfer_target_hears_the_sentence_of_mode_and_language() -> None:
    assert OPTIONS.say("notice", "fr") == (FRENCH, None)
    assert OPTIONS.say("notice", "nl") == (None, None)
    assert OPTIONS.say("opt-in", "fr") == (FRENCH, DUTCH)
    assert OPTIONS.say("opt-out", "fr") == (DUTCH, DUTCH)
    assert OPTIONS.say("opt-in", "nl") == (ENGLISH, ENGLISH), "a missing language is asked in English"
    assert OPTIONS.sounds == {each.sha256 for each in (FRENCH, ENGLISH, DUTCH)}
    assert TransferOptions("alone", {"fr": FRENCH}).sounds == {FRENCH.sha256}


@pytest.mark.parametrize("options", [OPTIONS, TransferOptions("alone", {"fr": FRENCH, "en": ENGLISH}), None])
def test_transfer_options_are_read_back(line: LineRow, options: TransferOptions | None) -> None:
    data = None if options is None else mappers.transfer_options_data(options)
    if options is not None:
        assert ("questions" in data, "refused" in data) == (bool(options.questions), bool(options.questions))
    with writing():
        LineTable.update(transfer_notice=data).where(LineTable.id == line.id).execute()
    assert queries.line(line.tenant, line.id) == replace(line, transfer_notice=options)


@pytest.mark.parametrize("deletable", [True, False])
def test_line_options_are_read_back(tenants, line: LineRow, clock, entropy, deletable: bool) -> None:
    keep = KeepOptions(365, own_words=True, destroy=True, at_start=False)
    now = {"now": clock(), "entropy": entropy}
    assert change_line(tenants[0], line.id, LineChange(keep=keep), **now)
    if deletable:
        assert change_line(tenants[0], line.id, LineChange(deletable=deletable), **now)
    assert queries.line(tenants[0], line.id) == replace(line, keep=keep, deletable=deletable)
    assert line.announcements == (line.announcement,)
    assert replace(line, others=("a", "b")).announcements == (line.announcement, "a", "b")


def test_composition_is_read_back(tenants, clock, entropy) -> None:
    announcement = composition.compose(
        tenants[0], name="composed", language="fr", mode="opt-in", purposes=["agreement"], keep_days=30,
        now=clock(), entropy=entropy,
    )  # fmt: skip
    row = queries.announcement(tenants[0], announcement.id)
    assert row is not None
    assert row.composition == Composition({}, None, False, SHORT)
    assert (row.mode, row.created_at) == ("opt-in", clock())
    assert row.question is not None
    assert row.declined is not None
    assert queries.announcement(tenants[1], announcement.id) is None
    own = {"sell": "Pour vendre."}
    composed = Composition(own, FRENCH, says_all=True, wording="long")
    data = mappers.composition_data(composed)
    assert data == {"own": own, "says_all": True, "greeting": FRENCH.text, "wording": "long"}
    assert mappers.composition_data(replace(composed, greeting=None)) == {**data, "greeting": None}
    assert mappers.composition_data(None) is None
    with writing():
        AnnouncementTable.update(composed=data, greeting=row.sound).execute()
    with connected():
        stored = AnnouncementTable.get_by_id(announcement.id)
    assert mappers.own_sentences(stored) == own
    found = queries.announcement(tenants[0], announcement.id)
    assert found.composition == replace(composed, greeting=SpokenSentence(FRENCH.text, row.sound))
    del data["wording"]
    with writing():
        AnnouncementTable.update(composed=data, greeting=None).execute()
    found = queries.announcement(tenants[0], announcement.id)
    assert found.composition == replace(composed, greeting=None, wording=SHORT)
    with writing():
        AnnouncementTable.update(composed=None).execute()
    with connected():
        assert mappers.own_sentences(AnnouncementTable.get_by_id(announcement.id)) == {}
    assert queries.announcement(tenants[0], announcement.id).composition is None


def test_session_is_read_back(tenants, clock, entropy) -> None:
    user = users.create_user(
        tenants[0], login="ada", name="Ada", role="customer", language="fr", password_hash="x", now=clock(),
        entropy=entropy,
    )  # fmt: skip
    opened = users.open_session(
        user, token_sha256="ab" * 32, now=clock(), until=clock.at.replace(year=2027), entropy=entropy
    )
    with connected():
        row = SessionTable.get_by_id(opened.id)
    assert mappers.session_row(row, tenants[0]) == opened
    assert (opened.user, opened.tenant, opened.seen_at) == (user.id, tenants[0], clock())


def test_recording_without_parties_is_read_back(stored, tenants) -> None:
    row = stored(external_party=None, internal_party=None, wrapped_key=None)
    assert queries.recording(tenants[0], row.id) == row
    full = stored()
    for column in ("external_kind", "external_value"):
        with writing():
            RecordingTable.update(**{column: None}).where(RecordingTable.id == full.id).execute()
        found = queries.recording(tenants[0], full.id)
        assert (found.external_party, found.internal_party) == (None, full.internal_party)
        with writing():
            columns = mappers.recording_columns(full)
            RecordingTable.update(**columns).where(RecordingTable.id == full.id).execute()
    assert queries.recording(tenants[0], full.id) == full


def test_agreed_retention_is_read_back_in_order(stored, tenants) -> None:
    agreed = (("agreement", date(2027, 1, 2)), ("training", date(2026, 12, 31)))
    row = stored(consented_until=agreed, announced=False, import_sha256="ab" * 32)
    assert queries.recording(tenants[0], row.id) == row
    with connected():
        assert RecordingTable.get_by_id(row.id).consented_until == {
            "agreement": "2027-01-02",
            "training": "2026-12-31",
        }


def test_recording_is_usable_once_a_purpose_is_known(stored) -> None:
    row: RecordingRow = stored()
    assert row.usable
    assert replace(row, purposes=()).usable, "the manifest decides about an announced one"
    assert not replace(row, announced=False).usable
    assert replace(row, announced=False, import_sha256="ab").usable
    assert not replace(row, announced=False, import_sha256="ab", purposes=()).usable


def test_unrecorded_call_is_undecided_while_its_take_is_in_quarantine(unrecorded, clock) -> None:
    row: NotRecordedRow = unrecorded()
    assert not row.undecided
    assert replace(row, reason="take.encoder_died").undecided
    assert not replace(row, reason="take.encoder_died", quarantined_until=clock()).undecided
    assert not replace(row, quarantined_until=clock()).undecided


def test_unrecorded_call_is_read_back(unrecorded, tenants) -> None:
    row = unrecorded(external_party=Party("e164", "+32470123456"), reason="take.wav")
    with connected():
        assert mappers.not_recorded_row(NotRecordedTable.get_by_id(row.id)) == row


@dataclass(frozen=True)
class NoColumn:
    id: str
    colour: str | None = None


@dataclass(frozen=True)
class NeverEmpty:
    id: str
    erasure_reason: str


@pytest.mark.parametrize(("kind", "column"), [(NoColumn, "colour_id"), (NeverEmpty, "erasure_reason")])
def test_value_that_does_not_fit_its_table_is_refused(stored, kind: type, column: str) -> None:
    with connected():
        row = RecordingTable.get_by_id(stored().id)
    with pytest.raises(TypeError, match=f"RecordingTable.{column} "):
        read_value(kind, row)
    with pytest.raises(TypeError, match=f"RecordingTable.{column} "):
        columns_of(kind(row.id, "red"), RecordingTable)
    assert read_value(kind, row, **{column.removesuffix("_id"): "red"}) == kind(row.id, "red")
    assert columns_of(kind(row.id, "red"), RecordingTable, column.removesuffix("_id")) == {"id": row.id}


def test_cursor_is_read_back() -> None:
    cursor = Cursor(datetime(2026, 11, 25, 9, 0, 0, 123000, tzinfo=UTC), "an_id")
    assert cursor.encode() == "2026-11-25T09:00:00.123Z_an_id"
    assert Cursor.decode(cursor.encode()) == cursor
