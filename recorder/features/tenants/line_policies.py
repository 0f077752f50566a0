"""Turns the catalogue's lines into the policies that a node follows
(:class:`recorder.domain.line_policy.LinePolicy`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.catalogue import change_counter
from recorder.catalogue.database import connected
from recorder.catalogue.mappers import line_row, own_sentences
from recorder.catalogue.records import ASKING_MODES, LineRow
from recorder.catalogue.tables.announcement import AnnouncementTable, SoundTable
from recorder.catalogue.tables.line import LineDeleteOptionTable, LineKeepOptionTable, LineTable
from recorder.domain import line_policy
from recorder.domain.sentences import TimedSentence
from recorder.errors import CatalogueError
from recorder.features.tenants import announcements as announcement_rows
from recorder.features.tenants.announcements import sound_missing
from recorder.isolation import concerns_all
from recorder.lifecycle import line_history, plans, suspension
from recorder.lifecycle.plans import CustomerPlan
from recorder.spool.snapshot import check_line

LEAVES = (
    line_history.CREATED, line_history.CHANGED, line_history.ENDED, announcement_rows.CREATED,
    plans.CREATED, plans.CHANGED, *suspension.KINDS,
)  # fmt: skip
"""Kinds of leaves that confirm what the rows of a customer's lines say."""

KEEP_SENTENCES = ("question", "cue", "yes", "no", "none")

PAGE = 500
"""Rows per query by name."""


UNREADABLE: Final = "line.unreadable"
"""The id of the error, and the fault, of a line whose rows contain what Accord never writes."""


@dataclass(frozen=True, slots=True)
class FaultyLine:
    """A line whose policy cannot be made, ``suspended`` or not: ``error`` says that the catalogue lacks one
    of its sounds (``announcement.sound_missing``), or that its rows cannot be read (:data:`UNREADABLE`)."""

    tenant: str
    line: str
    number: str
    mode: str
    error: CatalogueError
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class NodePolicies:
    """The policy of every active line that is recorded. Besides those that are switched off, the others are
    not recorded: ``unfit`` lines, whose announcements were made for another mode, ``faulty`` ones, and
    ``unlogged`` lines, whose number or announcements the customer's log does not confirm, or which it says
    are switched off: no row alone decides whose calls are recorded, and what callers hear about it.
    ``own_sentences`` are those for customers' own purposes, by announcement."""

    lines: list[line_policy.LinePolicy] = field(default_factory=list)
    unfit: list[LineRow] = field(default_factory=list)
    faulty: list[FaultyLine] = field(default_factory=list)
    unlogged: list[LineRow] = field(default_factory=list)
    own_sentences: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def extend(self, other: NodePolicies) -> None:
        """Add those of other lines."""
        self.lines.extend(other.lines)
        self.unfit.extend(other.unfit)
        self.faulty.extend(other.faulty)
        self.unlogged.extend(other.unlogged)
        self.own_sentences.update(other.own_sentences)


@dataclass
class PolicyCache:
    """The policies of all customers, for a process that follows them: only customers with a change since are
    read again, and those with a faulty line, which may be whole again without a counted change. So a changed
    line costs the database little, however many customers and nodes there are."""

    _revision: int | None = None
    _unattributed: int = 0
    _customers: dict[str, NodePolicies] = field(default_factory=dict)

    def read(self) -> NodePolicies:
        """The policies as they are now."""
        # First: later changes are read again.
        revision = change_counter.revision(change_counter.LINES)
        unattributed = change_counter.unattributed(change_counter.LINES)
        # A smaller revision is an older catalogue that was restored.
        if self._revision is None or revision < self._revision or unattributed != self._unattributed:
            found = policies()
            self._customers.clear()
        else:
            changed = {*change_counter.changed_tenants(change_counter.LINES, self._revision)}
            changed |= {tenant for tenant, own in self._customers.items() if own.faulty}
            found = policies(changed)
            for tenant in changed:
                self._customers.pop(tenant, None)
        for part in ("lines", "unfit", "faulty", "unlogged"):
            for line in getattr(found, part):
                own = self._customers.setdefault(line.tenant, NodePolicies())
                getattr(own, part).append(line)
        for policy in found.lines:
            ids = {each.announcement.id for each in policy.languages} & found.own_sentences.keys()
            sentences = {each: found.own_sentences[each] for each in ids}
            self._customers[policy.tenant].own_sentences.update(sentences)
        self._revision, self._unattributed = revision, unattributed
        return self._all()

    def _all(self) -> NodePolicies:
        every = NodePolicies()
        for own in self._customers.values():
            every.extend(own)
        every.lines.sort(key=lambda line: line.number.removeprefix("+"))
        return every

    def clear(self) -> None:
        """Read everything the next time."""
        self._revision = None


def policies(tenants: Collection[str] | None = None) -> NodePolicies:
    """The lines of some customers; by default of all. Rows that cannot be read concern their own line."""
    recorded = LineTable.select().where(LineTable.until.is_null() & (LineTable.mode != line_policy.OFF))
    mine = recorded if tenants is None else rows_by_name(recorded, LineTable.tenant, tenants)
    with connected():
        try:
            return _policies_of(mine)
        except Exception as error:
            if concerns_all(error):
                raise
        found = NodePolicies()
        names = recorded.select(LineTable.tenant, LineTable.id).tuples()
        mine = names if tenants is None else rows_by_name(names, LineTable.tenant, tenants)
        _read_apart([line for _, line in sorted(mine)], found)
    found.lines.sort(key=lambda line: line.number.removeprefix("+"))
    return found


def _read_apart(lines: Sequence[str], found: NodePolicies) -> None:
    """Add the policies of lines of which some cannot be read: halved until those stand alone."""
    try:
        found.extend(_policies_of(rows_by_name(LineTable.select(), LineTable.id, lines)))
    except Exception as error:
        if concerns_all(error):
            raise
        if len(lines) == 1:
            found.faulty.extend(_unreadable(lines[0], error))
            return
        middle = len(lines) // 2
        _read_apart(lines[:middle], found)
        _read_apart(lines[middle:], found)


def _unreadable(line: str, error: Exception) -> Iterator[FaultyLine]:
    why = CatalogueError(
        UNREADABLE,
        f"the rows of line {line} contain a value that Accord never writes: "
        f"{type(error).__name__} {' '.join(str(error).split())}",
        "`accord audit run` names them: they were changed outside Accord",
    )
    names = LineTable.select(LineTable.tenant, LineTable.id, LineTable.number, LineTable.mode)
    for row in names.where(LineTable.id == line):
        suspended = suspension.find_suspensions(row.tenant_id).of(row.id) is not None
        yield FaultyLine(row.tenant_id, row.id, row.number, row.mode, why, suspended)


def _policies_of(found_rows: Iterable[LineTable]) -> NodePolicies:
    """The policies of lines, all of which can be read."""
    every = sorted(map(line_row, found_rows), key=lambda row: row.number.removeprefix("+"))
    owners = {row.tenant for row in every}
    leaves = leaf_lookup.leaves_of_many(owners, LEAVES)
    stored = {each: plans.plan_called(plans.code_in(leaves.get(each, ())), each) for each in owners}
    suspended = {each: suspension.suspensions_in(each, leaves.get(each, ())) for each in owners}
    logged = {each: _LoggedLines.of(leaves.get(each, ())) for each in owners}
    ids = {each for row in every for each in row.announcements}
    found = {row.id: row for row in rows_by_name(AnnouncementTable.select(), AnnouncementTable.id, ids)}
    rows = [row for row in every if logged[row.tenant].bears_out(row, found)]
    announcements = {each: found[each] for row in rows for each in row.announcements}
    sounds = {row.menu.sha256 for row in rows if row.menu is not None}
    for row in announcements.values():
        sounds |= {each for each in (row.sound_id, row.question_id, row.declined_id) if each is not None}
    sounds = sounds.union(*(row.transfer_notice.sounds for row in rows if row.transfer_notice is not None))
    keep_lines = {row.id for row in rows if row.keep is not None}
    keep_rows = {
        (row.line_id, row.language): row
        for row in rows_by_name(LineKeepOptionTable.select(), LineKeepOptionTable.line, keep_lines)
    }
    for row in keep_rows.values():
        sounds |= {each for name in KEEP_SENTENCES if (each := getattr(row, f"{name}_id")) is not None}
    deletable = {row.id for row in rows if row.deletable}
    delete_rows = {
        (row.line_id, row.language): row
        for row in rows_by_name(LineDeleteOptionTable.select(), LineDeleteOptionTable.line, deletable)
    }
    for row in delete_rows.values():
        sounds |= {row.question_id, row.deleted_id}
    lengths = SoundTable.select(SoundTable.sha256, SoundTable.duration_ms)
    durations = {row.sha256: row.duration_ms for row in rows_by_name(lengths, SoundTable.sha256, sounds)}
    builder = _PolicyBuilder(announcements, keep_rows, delete_rows, durations, stored)
    fit, unfit, faulty = [], [], []
    for row in rows:
        stop = suspended[row.tenant].of(row.id)
        try:
            line = builder.line(row, stop)
        except _NoSound as error:
            missing = sound_missing(str(error))
            faulty.append(FaultyLine(row.tenant, row.id, row.number, row.mode, missing, stop is not None))
            continue
        if line is not None:
            check_line(line)
            fit.append(line)
        else:
            unfit.append(row)
    unlogged = [row for row in every if not logged[row.tenant].bears_out(row, found)]
    ids = {each.announcement.id for line in fit for each in line.languages}
    own = {each: sentences for each in ids if (sentences := own_sentences(announcements[each]))}
    return NodePolicies(fit, unfit, faulty, unlogged, own)


class _NoSound(Exception):
    """The catalogue lacks the sound of this SHA-256."""


@dataclass(frozen=True, slots=True)
class _LoggedLines:
    """A customer's lines, with their numbers, and announcements, according to the log."""

    lines: Collection[tuple[str, str]]
    off: Collection[str]
    announcements: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, leaves: Sequence[LoggedLeaf]) -> _LoggedLines:
        return cls(
            line_history.lines_in(leaves),
            line_history.lines_off_in(leaves),
            announcement_rows.announcements_in(leaves),
        )

    def bears_out(self, line: LineRow, rows: Mapping[str, AnnouncementTable]) -> bool:
        """Whether the log has a line with that number for this customer, not switched off, and its
        announcements word for word."""
        return (
            (line.id, line.number) in self.lines
            and line.id not in self.off
            and all(
                each in rows and self.announcements.get(each) == announcement_rows.leaf_body(rows[each])
                for each in line.announcements
            )
        )


@dataclass(frozen=True, slots=True)
class _PolicyBuilder:
    """Announcements by id, keep and delete prompts by line and language, each sound's duration (ms) by
    SHA-256, and each customer's plan, which says in which formats new calls are stored."""

    announcements: Mapping[str, AnnouncementTable]
    keep_rows: Mapping[tuple[str, str], LineKeepOptionTable]
    delete_rows: Mapping[tuple[str, str], LineDeleteOptionTable]
    durations: Mapping[str, int]
    plans: Mapping[str, CustomerPlan]

    def line(self, row: LineRow, stop: suspension.Suspension | None) -> line_policy.LinePolicy | None:
        rows = [self.announcements[each] for each in row.announcements]
        if any(each.mode != row.mode for each in rows):
            return None
        first, *others = [self._language(each, row) for each in rows]
        return line_policy.LinePolicy(
            tenant=row.tenant,
            line=row.id,
            number=row.number,
            mode=row.mode,
            timing=row.timing,
            formats=self.plans[row.tenant].stored_formats(row.formats),
            announcement=first.announcement,
            consent_prompt=first.consent_prompt,
            keep=first.keep,
            delete=first.delete,
            beep=row.beep,
            transfer_notice=first.transfer_notice,
            outbound=row.outbound,
            suspended=stop is not None,
            others=tuple(others),
            menu=None if row.menu is None else self._sound(row.menu.text, row.menu.sha256),
        )

    def _language(self, row: AnnouncementTable, line: LineRow) -> line_policy.Language:
        announcement = line_policy.Announcement(
            id=row.id,
            version=row.version,
            language=row.language,
            text=row.text,
            purposes=tuple(row.purposes),
            keep_days=row.keep_days,
            sha256=row.sound_id,
            duration_ms=self._duration(row.sound_id),
        )
        keep, notice = self._keep(line, row.language), self._transfer_notice(line, row.language)
        delete = self._delete(line, row.language)
        if row.mode not in ASKING_MODES:
            return line_policy.Language(announcement, None, keep, delete, notice)
        question = self._sound(row.question_text, row.question_id)
        declined = self._sound(row.declined_text, row.declined_id)
        return line_policy.Language(
            announcement, line_policy.ConsentPrompt(question, declined), keep, delete, notice
        )

    def _transfer_notice(self, line: LineRow, language: str) -> line_policy.TransferNotice | None:
        notice, refused = (
            (None, None) if line.transfer_notice is None else line.transfer_notice.say(line.mode, language)
        )
        if line.transfer_notice is None or notice is None:
            return None
        declined = None if refused is None else self._sound(refused.text, refused.sha256)
        return line_policy.TransferNotice(
            line.transfer_notice.how, self._sound(notice.text, notice.sha256), declined
        )

    def _keep(self, line: LineRow, language: str) -> line_policy.Keep | None:
        prompts = self.keep_rows.get((line.id, language))
        if line.keep is None or prompts is None:
            return None
        question = (
            None if prompts.question_id is None else self._sound(prompts.question_text, prompts.question_id)
        )
        return line_policy.Keep(
            line.keep.purpose,
            line.keep.keep_days,
            question,
            cue=self._sound(prompts.cue_text, prompts.cue_id),
            yes=self._sound(prompts.yes_text, prompts.yes_id),
            no=self._sound(prompts.no_text, prompts.no_id),
            none=self._sound(prompts.none_text, prompts.none_id),
            destroy=line.keep.destroy,
            at_start=line.keep.at_start,
        )

    def _delete(self, line: LineRow, language: str) -> line_policy.Delete | None:
        prompts = self.delete_rows.get((line.id, language))
        if not line.deletable or prompts is None:
            return None
        return line_policy.Delete(
            self._sound(prompts.question_text, prompts.question_id),
            self._sound(prompts.deleted_text, prompts.deleted_id),
        )

    def _sound(self, text: str | None, sha256: str | None) -> TimedSentence:
        if text is None or sha256 is None:
            raise ValueError("an announcement for a mode that asks, without what it asks")
        return TimedSentence(text, sha256, self._duration(sha256))

    def _duration(self, sha256: str) -> int:
        if sha256 not in self.durations:
            raise _NoSound(sha256)
        return self.durations[sha256]


def rows_by_name(query: Any, field: Any, names: Collection[str]) -> Iterator[Any]:
    """Rows by name, a page at a time: a database limits the parameters of a query."""
    keys = sorted(names)
    for at in range(0, len(keys), PAGE):
        yield from query.where(field.in_(keys[at : at + PAGE]))
