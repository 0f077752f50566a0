"""Maps database rows to the frozen values of ``records.py``, and back: one small function per table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from recorder.catalogue.records import (
    AnnouncementRow,
    Composition,
    KeepOptions,
    LineRow,
    NotRecordedRow,
    ObjectRow,
    RecordingRow,
    SessionRow,
    TenantRow,
    TransferOptions,
    UserRow,
)
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.identity import SessionTable, UserTable
from recorder.catalogue.tables.line import LineTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.domain.line_policy import OUTBOUND_TIMINGS, TIMINGS
from recorder.domain.parties import Party
from recorder.domain.sentences import SpokenSentence
from recorder.prompts.sentences import SHORT


def tenant_row(row: TenantTable) -> TenantRow:
    return TenantRow(
        id=row.id,
        name=row.name,
        language=row.language,
        languages=tuple(row.languages),
        time_zone=row.time_zone,
        plan=row.plan,
        country=row.country,
        created_at=row.created_at,
    )


def user_row(row: UserTable) -> UserRow:
    return UserRow(
        id=row.id,
        tenant=row.tenant_id,
        login=row.login,
        name=row.name,
        role=row.role,
        language=row.language,
        password_hash=row.password_hash,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        credential=row.credential,
        lines=None if row.lines is None else tuple(row.lines),
    )


def session_row(row: SessionTable, tenant: str) -> SessionRow:
    return SessionRow(
        id=row.id,
        user=row.user_id,
        tenant=tenant,
        created_at=row.created_at,
        seen_at=row.seen_at,
        until=row.until,
        device=row.device,
        network=row.network,
    )


def announcement_row(row: AnnouncementTable, duration_ms: int) -> AnnouncementRow:
    return AnnouncementRow(
        id=row.id,
        tenant=row.tenant_id,
        name=row.name,
        version=row.version,
        language=row.language,
        text=row.text,
        purposes=tuple(row.purposes),
        keep_days=row.keep_days,
        sound=row.sound_id,
        duration_ms=duration_ms,
        mode=row.mode,
        question=_sentence(row.question_text, row.question_id),
        declined=_sentence(row.declined_text, row.declined_id),
        composition=_composition(row),
        created_at=row.created_at,
    )


def line_row(row: LineTable) -> LineRow:
    """Raises ``ValueError`` and other errors of a row that contains what Accord never writes."""
    if row.timing not in TIMINGS or row.outbound not in OUTBOUND_TIMINGS:
        raise ValueError(f"there is no timing {row.timing!r} or {row.outbound!r}")
    return LineRow(
        id=row.id,
        tenant=row.tenant_id,
        number=row.number,
        label=row.label,
        mode=row.mode,
        timing=row.timing,
        formats=tuple(row.formats),
        announcement=row.announcement_id,
        others=tuple(row.others),
        menu=_sentence(row.menu_text, row.menu_id),
        keep=_keep_options(row.keep),
        deletable=bool(row.deletable),
        beep=row.beep,
        transfer_notice=_transfer_notice(row.transfer_notice),
        outbound=row.outbound,
        since=row.since,
        until=row.until,
    )


def _keep_options(data: Any) -> KeepOptions | None:
    return None if data is None else KeepOptions(**data)


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
    return RecordingRow(
        id=row.id,
        tenant=row.tenant_id,
        line=row.line_id,
        number=row.number,
        direction=row.direction,
        external_party=_party(row.external_kind, row.external_value),
        internal_party=_party(row.internal_kind, row.internal_value),
        started_at=row.started_at,
        duration_ms=row.duration_ms,
        announcement=row.announcement_id,
        announcement_version=row.announcement_version,
        announced=bool(row.announced),
        purposes=tuple(row.purposes),
        restricted=tuple(row.restricted),
        keep_answer=row.keep_answer,
        keep_until=row.keep_until,
        prefix=row.prefix,
        manifest_sha256=row.manifest_sha256,
        wrapped_key=row.wrapped_key,
        objects=tuple(ObjectRow(o["name"], o["media_type"], o["length"]) for o in row.objects),
        stored_bytes=row.stored_bytes,
        stored_at=row.stored_at,
        erased_at=row.erased_at,
        erasure_reason=row.erasure_reason,
        import_sha256=row.import_sha256,
        agreement=row.agreement,
        consented_until=tuple(
            (code, date.fromisoformat(day)) for code, day in sorted(row.consented_until.items())
        ),
    )


def recording_columns(row: RecordingRow) -> dict[str, Any]:
    """The columns of a recording's row, as :func:`recording_row` reads them."""
    return {
        "id": row.id,
        "tenant": row.tenant,
        "line_id": row.line,
        "number": row.number,
        "direction": row.direction,
        "external_kind": row.external_party.kind if row.external_party else None,
        "external_value": row.external_party.value if row.external_party else None,
        "internal_kind": row.internal_party.kind if row.internal_party else None,
        "internal_value": row.internal_party.value if row.internal_party else None,
        "started_at": row.started_at,
        "duration_ms": row.duration_ms,
        "announcement_id": row.announcement,
        "announcement_version": row.announcement_version,
        "announced": int(row.announced),
        "purposes": list(row.purposes),
        "restricted": list(row.restricted),
        "keep_answer": row.keep_answer,
        "keep_until": row.keep_until,
        "prefix": row.prefix,
        "manifest_sha256": row.manifest_sha256,
        "wrapped_key": row.wrapped_key,
        "objects": [{"name": o.name, "media_type": o.media_type, "length": o.length} for o in row.objects],
        "stored_bytes": row.stored_bytes,
        "stored_at": row.stored_at,
        "erased_at": row.erased_at,
        "erasure_reason": row.erasure_reason,
        "import_sha256": row.import_sha256,
        "agreement": row.agreement,
        "consented_until": consents_data(row.consented_until),
    }


def consents_data(until: Iterable[tuple[str, date]]) -> dict[str, str]:
    """The content of the column ``consented_until``, from ``RecordingRow.consented_until``."""
    return {code: day.isoformat() for code, day in until}


def not_recorded_row(row: NotRecordedTable) -> NotRecordedRow:
    return NotRecordedRow(
        id=row.id,
        tenant=row.tenant_id,
        line=row.line_id,
        number=row.number,
        direction=row.direction,
        node=row.node,
        external_party=Party(row.external_kind, row.external_value),
        started_at=row.started_at,
        ended_at=row.ended_at,
        reason=row.reason,
        quarantined_until=row.quarantined_until,
    )


def _party(kind: str | None, value: str | None) -> Party | None:
    return None if kind is None or value is None else Party(kind, value)
