"""Changes of numbers by the provider: made, or proposed to the customer's admins where callers would be
promised more than the customer agreed to; shown first where that is wished; and the admins' answer.

A yes makes exactly the change that was shown: the form names the digest of what callers hear now, and would
hear then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from recorder.auditlog.append import append, sha256_of, tenant_lock
from recorder.catalogue import queries
from recorder.catalogue.database import current_batch
from recorder.catalogue.records import KeepOptions, LineRow
from recorder.domain.call_plan import MODES
from recorder.errors import AccordError, CatalogueError
from recorder.features.tenants import keep_setup, setup
from recorder.features.tenants.change_permission import OPERATOR
from recorder.features.tenants.composition import announcement_id
from recorder.features.tenants.drafts import LineSettings
from recorder.features.tenants.keep_setup import KeepPreview
from recorder.features.tenants.line_change import LineChange, LineSound, change_line, make_sound, write_change
from recorder.features.tenants.setup import Preview
from recorder.ids import Entropy
from recorder.lifecycle.line_proposals import DROPPED, PROPOSED, UNCHANGED, LineProposal, find_proposals
from recorder.prompts import composer
from recorder.prompts.sound_sources import Sources

OutcomeCode = Literal["changed", "proposed", "unchanged", "refused"]

CHANGE_MADE: Final[OutcomeCode] = "changed"
PENDING: Final[OutcomeCode] = "proposed"
"""It needs the customer's yes."""
NO_CHANGE: Final[OutcomeCode] = "unchanged"
REFUSED: Final[OutcomeCode] = "refused"
NONE: Final[Mapping[str, int]] = {}
OUTCOMES: Final = (CHANGE_MADE, PENDING, NO_CHANGE, REFUSED)


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """What becomes of a change of a ``line`` (as it was), which then is ``changed``: what it announces
    ``before`` and ``after``, or would announce; ``error`` is why it is refused."""

    line: LineRow
    changed: LineRow
    before: LineSettings | None
    after: LineSettings | None
    code: OutcomeCode
    error: AccordError | None = None


@dataclass(frozen=True, slots=True)
class ShownProposal:
    """A pending proposal as the customer's admins see it: what callers hear now, and would hear then; and the
    keep question, if it would change (``None``: then nobody asks)."""

    proposal: LineProposal
    line: LineRow
    before: Preview
    after: Preview
    keep: KeepPreview | None

    @property
    def announces(self) -> bool:
        """Whether it is about the announcement."""
        return self.proposal.announcements != self.line.announcements

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of all of it."""
        keep = [keep_data(self.line.keep), None if self.keep is None else self.keep.digest]
        return sha256_of([self.proposal.number, self.before.digest, self.after.digest, *keep])


def changed_settings(before: LineSettings, after: LineSettings) -> tuple[str, ...]:
    """The names of what differs, in the order of the page that sets a number up."""
    names = ("purposes", "mode", "keep_days", "languages", "wording", "greeting_text")
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))


def widened_settings(before: LineSettings, after: LineSettings) -> frozenset[str]:
    """The names of those that promise callers more: a purpose more, a longer retention, a laxer mode."""
    wider = {
        "purposes": not {*after.purposes} <= {*before.purposes},
        "mode": MODES.index(after.mode) < MODES.index(before.mode),
        "keep_days": after.keep_days > before.keep_days,
    }
    return frozenset(name for name, is_wider in wider.items() if is_wider)


def widened_answers(
    before: KeepOptions | None, after: KeepOptions | None, announced: LineSettings
) -> frozenset[str]:
    """The answers (``yes``, ``none``) after which recordings would be kept longer, or for another purpose,
    than with the keep question of before."""
    days, days_then = (0 if keep and keep.destroy else announced.keep_days for keep in (before, after))
    agreed_days = days if before is None else max(days, before.keep_days)
    purposes = {*announced.purposes, before.purpose if before else ""}
    wider = {
        "yes": after is not None and (after.keep_days > agreed_days or after.purpose not in purposes),
        "none": days_then > days,
    }
    return frozenset(answer for answer, is_wider in wider.items() if is_wider)


def keep_data(keep: KeepOptions | None) -> Mapping[str, Any] | None:
    """A keep question as leaves state it."""
    return None if keep is None else asdict(keep)


class _DryRun(Exception):
    """Undoes a change that is only shown."""


def change_or_propose(
    line: LineRow,
    change: LineChange,
    *,
    dry_run: bool = False,
    person: str | None = None,
    sources: Sources = composer.SHIPPED,
    now: datetime,
    entropy: Entropy,
) -> ChangeOutcome:
    """Change a line from the next call on, or propose it to the customer's admins where it needs their yes;
    with ``dry_run`` all of it is undone again. Not for a batch, which could not undo it. ``person`` is the id
    of the one of the provider's people who does so in the panel."""
    if current_batch() is not None:
        raise RuntimeError("in a batch, a change that needs a yes could not be undone")
    before = after = None
    row, code = line, REFUSED
    try:
        before = after = setup.current_settings(line.tenant, line)
        sound = make_sound(line, change, sources)
        if sound.announcements is not None:
            after = setup.settings_of(sound.announcements)
        with tenant_lock(line.tenant):
            code = _change_or_propose(line, change, sound, person, now, entropy)
            row = queries.line(line.tenant, line.id) or line
            if dry_run:
                raise _DryRun
    except _DryRun:
        pass
    except AccordError as error:
        if error.error_id.startswith("catalogue."):
            raise
        return ChangeOutcome(line, line, before, after, REFUSED, error)
    return ChangeOutcome(line, row, before, after, code)


def _change_or_propose(
    line: LineRow,
    change: LineChange,
    sound: LineSound,
    person: str | None,
    now: datetime,
    entropy: Entropy,
) -> OutcomeCode:
    """Inside the caller's transaction. Raises :class:`CatalogueError` for what a yes could not change."""
    tenant = line.tenant
    if queries.line(tenant, line.id) != line:
        raise setup.changed_meanwhile(line)
    try:
        with tenant_lock(tenant) as locked:
            write_change(locked, line, change, sound, OPERATOR, now, entropy)
    except CatalogueError as error:
        if error.error_id != "line.beyond_consent" or not change.is_heard():
            raise
    else:
        return NO_CHANGE if queries.line(tenant, line.id) == line else CHANGE_MADE
    ids = list(line.announcements)
    if sound.announcements is not None:
        ids = [announcement_id(tenant, each, now, entropy) for each in sound.announcements]
    keep = UNCHANGED if change.keep == line.keep else change.keep
    known = find_proposals(tenant).get(line.id)
    if known is None or (known.announcements, known.keep) != (tuple(ids), keep):
        body: dict[str, Any] = {"line": line.id, "announcements": ids, "actor": OPERATOR}
        if keep is not UNCHANGED:
            body["keep"] = keep_data(keep)
        append(tenant, PROPOSED, body | ({"person": person} if person else {}), now, entropy)
    return PENDING


def show_proposal(line: LineRow, *, sources: Sources = composer.SHIPPED) -> ShownProposal | None:
    """A line's pending proposal. Raises as :func:`setup.preview_announcements` and
    :func:`keep_setup.compose_keep`."""
    proposal = find_proposals(line.tenant).get(line.id)
    if proposal is None:
        return None
    before = after = setup.preview_announced(line.tenant, line)
    if proposal.announcements != line.announcements:
        after = setup.preview_announcements(line.tenant, proposal.announcements, sources=sources)
    keep = None
    if isinstance(proposal.keep, KeepOptions):
        keep = keep_setup.compose_keep(line, proposal.keep, after.settings.languages, sources=sources)
    return ShownProposal(proposal, line, before, after, keep)


def find_equal(view: ShownProposal) -> Mapping[str, LineProposal]:
    """The customer's other lines with the same proposal, by id: the same announcements in place of the same
    settings, and the same keep question in place of the same."""
    tenant, keep = view.line.tenant, view.proposal.keep
    rows = {row.id: row for row in queries.announcements(tenant)}
    before = {
        line.id: setup.settings_of([rows[each] for each in line.announcements])
        for line in queries.lines(tenant)
        if rows.keys() >= {*line.announcements} and (keep is UNCHANGED or line.keep == view.line.keep)
    }
    return {
        line_id: proposal
        for line_id, proposal in find_proposals(tenant).items()
        if line_id != view.line.id
        and (proposal.announcements, proposal.keep) == (view.proposal.announcements, keep)
        and before.get(line_id) == view.before.settings
    }


def accept_proposal(
    tenant: str,
    line_id: str,
    digest: str,
    *,
    others: Mapping[str, int] = NONE,
    who: str,
    sources: Sources = composer.SHIPPED,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Announce or ask what was proposed from the next call on, as it was shown with this ``digest``, at the
    wish of one of the customer's admins (``who``); and on the ``others``, too, to which the same was proposed
    (the numbers of leaves by line): on all of them or on none. False if the tenant has no such line. Raises
    :class:`CatalogueError` (``line.changed``: it is pending no longer, or says something else; and as
    :func:`recorder.features.tenants.line_change.change_line`)."""
    line = queries.line(tenant, line_id)
    if line is None or line.until is not None:
        return False
    view = show_proposal(line, sources=sources)
    if view is None or view.digest != digest:
        raise setup.changed_meanwhile(line)
    change = LineChange(keep=view.proposal.keep)
    if view.announces:
        change = replace(change, announcements=view.after.announcements, menu=view.after.menu)
    with tenant_lock(tenant):
        if queries.line(tenant, line_id) != line or find_proposals(tenant).get(line_id) != view.proposal:
            raise setup.changed_meanwhile(line)
        equal = {other: proposal.number for other, proposal in find_equal(view).items()}
        if not others.items() <= equal.items():
            raise setup.changed_meanwhile(line)
        for each in (line_id, *others):
            change_line(tenant, each, change, who=who, sources=sources, now=now, entropy=entropy)
    return True


def drop_proposals(
    tenant: str, numbers: Mapping[str, int], *, who: str = OPERATOR, now: datetime, entropy: Entropy
) -> bool:
    """Leave what lines announce and ask as it is: one of the customer's admins (``who``) said no to their
    proposals (``numbers`` of leaves by line), or the operator withdrew them. False, and none is dropped, if
    one of them is not pending."""
    with tenant_lock(tenant):
        pending = {line_id: proposal.number for line_id, proposal in find_proposals(tenant).items()}
        if not numbers.items() <= pending.items():
            return False
        for line_id, number in numbers.items():
            append(tenant, DROPPED, {"line": line_id, "proposal": number, "actor": who}, now, entropy)
    return True
