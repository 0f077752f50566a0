"""Turns the catalogue's lines into the policies that a node follows
(:class:`recorder.domain.line_policy.LinePolicy`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from recorder.catalogue.database import connected
from recorder.catalogue.mappers import line_row
from recorder.catalogue.records import ASKING, LineRow
from recorder.catalogue.tables.announcement import AnnouncementTable, SoundTable
from recorder.catalogue.tables.line import LineDeleteOptionTable, LineKeepOptionTable, LineTable
from recorder.domain import line_policy
from recorder.features.tenants import announcements as announcing
from recorder.lifecycle import line_history

SAID = ("question", "cue", "yes", "no", "none")

PAGE = 500
"""Rows that are asked for by name at a time."""


@dataclass(frozen=True, slots=True)
class Policies:
    """Every active line as a node treats it, by its number.  On the others nothing is recorded: ``unfit``
    are those whose words were not made for their mode (an Accord of before set it), ``unlogged`` those that
    their customer's log does not say were made with that number, or whose announcement it does not know so:
    whose calls are recorded, and what callers hear of that, is decided by no row."""

    lines: list[line_policy.LinePolicy]
    unfit: list[LineRow]
    unlogged: list[LineRow]


def policies() -> Policies:
    """The lines of all customers."""
    with connected():
        every = [
            line_row(row)
            for row in LineTable.select().where(LineTable.until.is_null()).order_by(LineTable.digits)
        ]
        logged = {tenant: _Logged.of(tenant) for tenant in {row.tenant for row in every}}
        said = {each for row in every for each in row.announcements}
        found = {row.id: row for row in named(AnnouncementTable.select(), AnnouncementTable.id, said)}
        rows = [row for row in every if logged[row.tenant].bears_out(row, found)]
        told = {each: found[each] for row in rows for each in row.announcements}
        sounds = {row.menu.sound for row in rows if row.menu is not None}
        for row in told.values():
            sounds |= {each for each in (row.sound_id, row.question_id, row.declined_id) if each is not None}
        sounds = sounds.union(
            *(row.transfer_notice.sounds for row in rows if row.transfer_notice is not None)
        )
        asking = {row.id for row in rows if row.keep is not None}
        kept = {
            (row.line_id, row.language): row
            for row in named(LineKeepOptionTable.select(), LineKeepOptionTable.line, asking)
        }
        for row in kept.values():
            sounds |= {each for name in SAID if (each := getattr(row, f"{name}_id")) is not None}
        deletable = {row.id for row in rows if row.deletable}
        gone = {
            (row.line_id, row.language): row
            for row in named(LineDeleteOptionTable.select(), LineDeleteOptionTable.line, deletable)
        }
        for row in gone.values():
            sounds |= {row.question_id, row.deleted_id}
        lengths = SoundTable.select(SoundTable.sha256, SoundTable.duration_ms)
        durations = {row.sha256: row.duration_ms for row in named(lengths, SoundTable.sha256, sounds)}
    speaking = _Speaking(told, kept, gone, durations)
    fit, unfit = [], []
    for row in rows:
        if (line := speaking.line(row)) is not None:
            fit.append(line)
        else:
            unfit.append(row)
    return Policies(fit, unfit, [row for row in every if not logged[row.tenant].bears_out(row, found)])


@dataclass(frozen=True, slots=True)
class _Logged:
    """A customer's lines, with their numbers, and announcements, as the log says."""

    lines: Collection[tuple[str, str]]
    announcements: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, tenant: str) -> _Logged:
        return cls(line_history.logged(tenant), announcing.logged(tenant))

    def bears_out(self, line: LineRow, told: Mapping[str, AnnouncementTable]) -> bool:
        """Whether a line is this customer's, with that number, and so is what it says, word for word."""
        return (line.id, line.number) in self.lines and all(
            each in told and self.announcements.get(each) == announcing.says(told[each])
            for each in line.announcements
        )


@dataclass(frozen=True, slots=True)
class _Speaking:
    """Announcements by id, what is said about keeping and about destroying by line and language, and how long
    each sound is, by its SHA-256."""

    told: Mapping[str, AnnouncementTable]
    kept: Mapping[tuple[str, str], LineKeepOptionTable]
    gone: Mapping[tuple[str, str], LineDeleteOptionTable]
    durations: Mapping[str, int]

    def line(self, row: LineRow) -> line_policy.LinePolicy | None:
        told = [self.told[each] for each in row.announcements]
        if any(each.mode != row.mode for each in told):
            return None
        first, *others = [self._language(each, row) for each in told]
        return line_policy.LinePolicy(
            tenant=row.tenant,
            line=row.id,
            number=row.number,
            mode=row.mode,
            timing=row.timing,
            formats=row.formats,
            announcement=first.announcement,
            consent_prompt=first.consent_prompt,
            keep=first.keep,
            delete=first.delete,
            beep=row.beep,
            transfer_notice=first.transfer_notice,
            outbound=row.outbound,
            others=tuple(others),
            menu=None if row.menu is None else self._sound(row.menu.text, row.menu.sound),
        )

    def _language(self, said: AnnouncementTable, line: LineRow) -> line_policy.Language:
        told = line_policy.Announcement(
            id=said.id,
            version=said.version,
            language=said.language,
            text=said.text,
            purposes=tuple(said.purposes),
            keep_days=said.keep_days,
            sha256=said.sound_id,
            duration_ms=self.durations[said.sound_id],
        )
        keep, notice = self._keep(line, said.language), self._transfer_notice(line, said.language)
        delete = self._delete(line, said.language)
        if said.mode not in ASKING:
            return line_policy.Language(told, None, keep, delete, notice)
        question = self._sound(said.question_text, said.question_id)
        declined = self._sound(said.declined_text, said.declined_id)
        return line_policy.Language(told, line_policy.ConsentPrompt(question, declined), keep, delete, notice)

    def _transfer_notice(self, line: LineRow, language: str) -> line_policy.TransferNotice | None:
        said, refused = (
            (None, None) if line.transfer_notice is None else line.transfer_notice.say(line.mode, language)
        )
        if line.transfer_notice is None or said is None:
            return None
        declined = None if refused is None else self._sound(refused.text, refused.sound)
        return line_policy.TransferNotice(
            line.transfer_notice.how, self._sound(said.text, said.sound), declined
        )

    def _keep(self, line: LineRow, language: str) -> line_policy.Keep | None:
        said = self.kept.get((line.id, language))
        if line.keep is None or said is None:
            return None
        question = None if said.question_id is None else self._sound(said.question_text, said.question_id)
        return line_policy.Keep(
            line.keep.purpose,
            line.keep.keep_days,
            question,
            cue=self._sound(said.cue_text, said.cue_id),
            yes=self._sound(said.yes_text, said.yes_id),
            no=self._sound(said.no_text, said.no_id),
            none=self._sound(said.none_text, said.none_id),
            destroy=line.keep.destroy,
            at_start=line.keep.at_start,
        )

    def _delete(self, line: LineRow, language: str) -> line_policy.Delete | None:
        said = self.gone.get((line.id, language))
        if not line.deletable or said is None:
            return None
        return line_policy.Delete(
            self._sound(said.question_text, said.question_id), self._sound(said.deleted_text, said.deleted_id)
        )

    def _sound(self, text: str | None, sha256: str | None) -> line_policy.PromptSound:
        if text is None or sha256 is None:
            raise ValueError("an announcement for a mode that asks, without what it asks")
        return line_policy.PromptSound(text, sha256, self.durations[sha256])


def named(query: Any, field: Any, names: Collection[str]) -> Iterator[Any]:
    """Rows by name, a page at a time: a database takes only so many names in one question."""
    wanted = sorted(names)
    for at in range(0, len(wanted), PAGE):
        yield from query.where(field.in_(wanted[at : at + PAGE]))
