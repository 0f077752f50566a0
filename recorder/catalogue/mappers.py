"""Reads the frozen values of ``records.py`` from rows: which table each is in, and what is not simply in a
column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from recorder.catalogue.records import (
    AnnouncementRow,
    Composition,
    LineRow,
    NotRecordedRow,
    RecordingRow,
    SessionRow,
    TenantRow,
    TransferOptions,
    UserRow,
)
from recorder.catalogue.row_values import columns_of, read_value
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.identity import SessionTable, UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain.line_policy import OUTBOUND_TIMINGS, TIMINGS
from recorder.domain.sentences import SpokenSentence
from recorder.prompts.sentences import SHORT


def tenant_row(row: TenantTable) -> TenantRow:
    return read_value(TenantRow, row)


def user_row(row: UserTable) -> UserRow:
    return read_value(UserRow, row)


def session_row(row: SessionTable, tenant: str) -> SessionRow:
    return read_value(SessionRow, row, tenant=tenant)


def announcement_row(row: AnnouncementTable, duration_ms: int) -> AnnouncementRow:
    return read_value(AnnouncementRow, row, duration_ms=duration_ms, composition=_composition(row))


def line_row(row: LineTable) -> LineRow:
    """Raises ``ValueError`` and other errors of a row that contains what Accord never writes."""
    if row.timing not in TIMINGS or row.outbound not in OUTBOUND_TIMINGS:
        raise ValueError(f"there is no timing {row.timing!r} or {row.outbound!r}")
    return read_value(LineRow, row, transfer_notice=_transfer_notice(row.transfer_notice))


def transfer_options_data(notice: TransferOptions) -> dict[str, Any]:
    """The content of the column ``transfer_notice``, as :func:`line_row` reads it."""
    body: dict[str, Any] = {"how": notice.how, "notices": _sentences_data(notice.notices)}
    if notice.questions:
        body["questions"] = {mode: _sentences_data(each) for mode, each in notice.questions.items()}
        body["refused"] = _sentences_data(notice.refused)
    return body


def _sentences_data(sentences: Mapping[str, SpokenSentence]) -> dict[str, list[str]]:
    return {language: [each.text, each.sha256] for language, each in sentences.items()}


def _sentences(data: Mapping[str, Any]) -> dict[str, SpokenSentence]:
    return {language: SpokenSentence(*each) for language, each in data.items()}


def _transfer_notice(data: Any) -> TransferOptions | None:
    if data is None:
        return None
    questions = {mode: _sentences(each) for mode, each in data.get("questions", {}).items()}
    return TransferOptions(
        data["how"], _sentences(data["notices"]), questions, _sentences(data.get("refused", {}))
    )


def composition_data(composition: Composition | None) -> dict[str, Any] | None:
    """The content of the column ``composed``, as :func:`announcement_row` reads it. The greeting's sound has
    its own column."""
    if composition is None:
        return None
    greeting = composition.greeting.text if composition.greeting else None
    return {
        "own": dict(composition.own),
        "says_all": composition.says_all,
        "greeting": greeting,
        "wording": composition.wording,
    }


def own_sentences(row: AnnouncementTable) -> Mapping[str, str]:
    """The sentences for the customer's own purposes in an announcement, by purpose code."""
    composed: Any = row.composed
    return {} if composed is None else dict(composed["own"])


def _composition(row: AnnouncementTable) -> Composition | None:
    composed: Any = row.composed
    if composed is None:
        return None
    greeting = _sentence(composed["greeting"], row.greeting_id)
    return Composition(composed["own"], greeting, composed["says_all"], composed.get("wording", SHORT))


def _sentence(text: str | None, sound: str | None) -> SpokenSentence | None:
    return None if text is None or sound is None else SpokenSentence(text, sound)


def recording_row(row: RecordingTable) -> RecordingRow:
    until = ((code, date.fromisoformat(day)) for code, day in sorted(row.consented_until.items()))
    return read_value(RecordingRow, row, consented_until=tuple(until))


def recording_columns(row: RecordingRow) -> dict[str, Any]:
    """The columns of a recording's row, as :func:`recording_row` reads them."""
    until = consents_data(row.consented_until)
    return columns_of(row, RecordingTable, "consented_until") | {"consented_until": until}


def consents_data(until: Iterable[tuple[str, date]]) -> dict[str, str]:
    """The content of the column ``consented_until``, from ``RecordingRow.consented_until``."""
    return {code: day.isoformat() for code, day in until}


def not_recorded_row(row: NotRecordedTable) -> NotRecordedRow:
    return read_value(NotRecordedRow, row)
