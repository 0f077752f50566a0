"""What the provider proposes waits for a yes of the customer's admins, which makes exactly what was shown."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from recorder.auditlog.append import append, tenant_lock
from recorder.auditlog.leaf_lookup import line_leaves
from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import KeepOptions, LineRow
from recorder.catalogue.tables.announcement import AnnouncementTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.errors import CatalogueError
from recorder.features.tenants import lines
from recorder.features.tenants.line_change import LineChange
from recorder.features.tenants.line_proposals import (
    ShownProposal,
    accept_proposal,
    change_or_propose,
    drop_proposals,
    find_equal,
    show_proposal,
)
from recorder.features.tenants.setup import current_settings, switch_off
from recorder.lifecycle.line_history import end_line
from recorder.lifecycle.line_proposals import PROPOSED, find_proposals
from tests.unit.catalogue.promised_world import PromisedWorld

pytestmark = pytest.mark.postgresql


def change(world: PromisedWorld, *, dry_run: bool = False, **parts: Any) -> str:
    line = queries.line(world.tenant, world.line.id)
    assert line is not None
    outcome = change_or_propose(line, LineChange(**parts), dry_run=dry_run, **world.at)
    return outcome.code


def contents(world: PromisedWorld) -> tuple[int, int, object]:
    """How much the customer's log and catalogue have, and its line."""
    with connected():
        leaves = LeafTable.select().where(LeafTable.tenant == world.tenant).count()
        return leaves, AnnouncementTable.select().count(), queries.line(world.tenant, world.line.id)


def view_of(world: PromisedWorld) -> ShownProposal:
    line = queries.line(world.tenant, world.line.id)
    assert line is not None
    view = show_proposal(line)
    assert view is not None
    return view


def answer(world: PromisedWorld, digest: str, who: str = "") -> bool:
    return accept_proposal(world.tenant, world.line.id, digest, who=who or world.admin, **world.at)


def error_of(world: PromisedWorld, digest: str, who: str = "") -> str:
    with pytest.raises(CatalogueError) as failure:
        answer(world, digest, who)
    return failure.value.error_id


def test_a_change_is_shown_before_anything_is_written(world) -> None:
    wider, narrower = world.say(keep_days=90), world.say(keep_days=7)
    before = contents(world)
    assert change(world, dry_run=True, announcements=[wider]) == "proposed"
    assert change(world, dry_run=True, announcements=[narrower]) == "changed"
    assert change(world, dry_run=True, mode="opt-in", languages=["fr", "nl"]) == "changed"
    assert change(world, dry_run=True, mode="notice") == "proposed"
    assert change(world, dry_run=True, mode="opt-out") == "unchanged"
    assert change(world, dry_run=True, announcements=["nowhere"]) == "refused"
    assert contents(world) == before


def test_what_narrows_is_made_at_once(world) -> None:
    narrower = world.say(keep_days=7)
    assert change(world, announcements=[narrower]) == "changed"
    assert world.announced() == (narrower,)
    assert find_proposals(world.tenant) == {}


def test_purposes_and_days_are_composed_in_each_language(world) -> None:
    world.change(world.admin, languages=["en", "fr"])
    assert change(world, purposes=["agreement", "quality"], keep_days=14) == "proposed"
    view = view_of(world)
    promised = [(each.language, each.purposes, each.keep_days) for each in view.after.announcements]
    assert promised == [(each, ("agreement", "quality"), 14) for each in ("en", "fr")]
    assert change(world, keep_days=14) == "changed"
    line = queries.line(world.tenant, world.line.id)
    assert line is not None
    assert (current_settings(world.tenant, line).keep_days, line.menu is not None) == (14, True)
    assert change(world, keep_days=14) == "unchanged"
    assert change(world, keep_days=100_000) == "refused"
    assert change(world, purposes=["nothing"]) == "refused"


def test_what_a_yes_could_not_change_is_refused(world) -> None:
    world.change(announcements=[world.say(mode="opt-out", keep_days=14)])
    world.change(world.admin, mode="notice")
    world.change(timing="at_pickup")
    assert change(world, languages=["en", "fr"], keep_days=90) == "refused"
    assert find_proposals(world.tenant) == {}


def test_what_widens_waits_for_a_yes(world) -> None:
    wider, before = world.say(keep_days=90), world.announced()
    for _ in range(2):
        assert change(world, announcements=[wider]) == "proposed"
    assert world.announced() == before
    view = view_of(world)
    assert (view.before.settings.keep_days, view.after.settings.keep_days) == (30, 90)
    assert error_of(world, view.digest, world.colleague) == "line.beyond_consent", "an admin says yes"
    assert error_of(world, view.after.digest) == "line.changed"
    assert answer(world, view.digest)
    assert world.announced() == (wider,)
    assert find_proposals(world.tenant) == {}
    assert error_of(world, view.digest) == "line.changed", "it is answered once"


def test_a_yes_makes_what_was_composed_for_it(world) -> None:
    assert change(world, mode="notice", languages=["fr", "nl"]) == "proposed"
    view = view_of(world)
    assert (view.after.settings.mode, view.after.settings.languages) == ("notice", ("fr", "nl"))
    assert answer(world, view.digest)
    line = queries.line(world.tenant, world.line.id)
    assert line is not None
    assert (line.mode, len(line.announcements), line.menu is not None) == ("notice", 2, True)


def test_a_yes_to_something_else_changes_nothing(world) -> None:
    assert change(world, announcements=[world.say(keep_days=90)]) == "proposed"
    first = view_of(world).digest
    assert change(world, announcements=[world.say(keep_days=90, mode="notice")]) == "proposed"
    assert error_of(world, first) == "line.changed", "another one was proposed since"
    second = view_of(world)
    with writing():
        some = AnnouncementTable.id == second.proposal.announcements[0]
        AnnouncementTable.update(keep_days=365).where(some).execute()
    assert error_of(world, second.digest) == "line.changed", "its row was changed"


def test_no_leaves_it_as_it_is(world) -> None:
    before = world.announced()
    assert change(world, announcements=[world.say(keep_days=90)]) == "proposed"
    (proposal,) = find_proposals(world.tenant).values()
    assert not drop_proposals(world.tenant, {world.line.id: proposal.number + 1}, who=world.admin, **world.at)
    assert drop_proposals(world.tenant, {world.line.id: proposal.number}, who=world.admin, **world.at)
    assert not drop_proposals(world.tenant, {world.line.id: proposal.number}, who=world.admin, **world.at)
    assert (world.announced(), find_proposals(world.tenant)) == (before, {})


@pytest.mark.parametrize("how", ["narrowed", "switched off", "ended"])
def test_what_happens_meanwhile_ends_it(world, how) -> None:
    assert change(world, announcements=[world.say(keep_days=90)]) == "proposed"
    world.change(label="Front desk")
    assert len(find_proposals(world.tenant)) == 1, "a name changes nothing"
    if how == "narrowed":
        world.change(announcements=[world.say(keep_days=7)])
    elif how == "switched off":
        assert switch_off(world.tenant, world.line.id, who=world.admin, **world.at)
    else:
        end_line(world.tenant, world.line.id, **world.at)
    assert find_proposals(world.tenant) == {}


def line_of(world: PromisedWorld) -> LineRow:
    line = queries.line(world.tenant, world.line.id)
    assert line is not None
    return line


def keep_of(world: PromisedWorld) -> KeepOptions | None:
    return line_of(world).keep


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, KeepOptions(365)),
        (KeepOptions(90), KeepOptions(365)),
        (KeepOptions(90, destroy=True), KeepOptions(90)),
        (KeepOptions(90, destroy=True), None),
    ],
    ids=["asked at all", "kept longer", "kept without a yes", "asked no more"],
)
def test_keep_question_that_promises_more_waits_for_a_yes(world, before, after) -> None:
    world.change(world.admin, languages=["en", "fr"])
    if before is not None:
        world.change(world.admin, keep=before)
    announced, menu = world.announced(), line_of(world).menu
    for _ in range(2):
        assert change(world, keep=after) == "proposed"
    kinds = [leaf.kind for leaf in line_leaves(world.tenant)]
    assert kinds.count("line.proposed") == 1, "the same is proposed once"
    assert keep_of(world) == before
    view = view_of(world)
    assert (view.announces, view.after) == (False, view.before)
    languages = {each.language for each in view.keep.prompts} if view.keep else set()
    assert languages == ({"en", "fr"} if after else set())
    assert error_of(world, view.digest, world.colleague) == "line.beyond_consent"
    assert answer(world, view.digest)
    assert (keep_of(world), world.announced(), find_proposals(world.tenant)) == (after, announced, {})
    assert line_of(world).menu == menu


def test_keep_question_that_promises_less_is_changed_at_once(world) -> None:
    world.change(world.admin, keep=KeepOptions(90))
    assert change(world, keep=KeepOptions(30, destroy=True)) == "changed"
    assert (keep_of(world), find_proposals(world.tenant)) == (KeepOptions(30, destroy=True), {})


def test_announcement_and_keep_question_are_proposed_together(world) -> None:
    assert change(world, keep_days=90, languages=["fr"], keep=KeepOptions(365)) == "proposed"
    view = view_of(world)
    assert {each.language for each in view.keep.prompts} == {"fr"}, "in the language that it then has"
    assert answer(world, view.digest)
    assert keep_of(world) == KeepOptions(365)
    assert current_settings(world.tenant, line_of(world)).keep_days == 90


def test_another_keep_question_makes_another_proposal(world) -> None:
    assert change(world, keep=KeepOptions(365)) == "proposed"
    first = view_of(world)
    assert change(world, keep=KeepOptions(730)) == "proposed"
    second = view_of(world)
    assert second.digest != first.digest
    assert error_of(world, first.digest) == "line.changed"
    world.change(world.admin, keep=KeepOptions(30))
    assert find_proposals(world.tenant) == {}, "the admin decided about it meanwhile"


def test_own_keep_question_leaves_a_proposed_announcement_pending(world) -> None:
    assert change(world, keep_days=90) == "proposed"
    world.change(world.admin, keep=KeepOptions(365))
    assert len(find_proposals(world.tenant)) == 1


@pytest.mark.parametrize("keep", [None, KeepOptions(90)])
def test_one_yes_is_for_lines_with_the_same_keep_question_alone(world, keep) -> None:
    other = lines.create_line(
        world.tenant, number="+3225550102", announcement=world.announced()[0], **world.at
    )
    for each in (KeepOptions(90), keep):
        world.change(world.admin, line=other.id, keep=each)
    assert change(world, keep=KeepOptions(365)) == "proposed"
    row = queries.line(world.tenant, other.id)
    assert change_or_propose(row, LineChange(keep=KeepOptions(365)), **world.at).code == "proposed"
    assert set(find_equal(view_of(world))) == ({other.id} if keep is None else set())


def test_only_what_callers_hear_is_proposed(world) -> None:
    """Other settings with it are refused with it: a yes would not be to them."""
    before = contents(world)
    assert change(world, mode="notice", beep="both") == "refused"
    assert contents(world) == before


@pytest.mark.parametrize(
    "keep",
    [
        30,
        [],
        {},
        {"keep_days": "90"},
        {"keep_days": True},
        {"keep_days": 90, "purpose": None},
        {"keep_days": 90, "destroy": "no"},
        {"keep_days": 90, "wording": "loud"},
        {"keep_days": 90, "wording": ["short"]},
        {"keep_days": 90, "further": 1},
    ],
)
def test_a_malformed_proposal_is_refused_alone(world, keep) -> None:
    other = lines.create_line(world.tenant, number="101", announcement=world.announced()[0], **world.at)
    good = {"line": other.id, "announcements": [*other.announcements], "keep": {"keep_days": 90}}
    bad = {"line": world.line.id, "announcements": [*world.announced()], "keep": keep}
    assert change(world, keep=KeepOptions(60)) == "proposed"
    view = view_of(world)
    with tenant_lock(world.tenant):
        for body in (bad, good):
            append(world.tenant, PROPOSED, body, **world.at)
    with capture_logs() as logs:
        found = find_proposals(world.tenant)
    assert {line: each.keep for line, each in found.items()} == {other.id: KeepOptions(90)}
    (event,) = logs
    assert (event["event"], event["log_level"]) == ("line.proposal_unreadable", "error")
    leaf = next(each for each in line_leaves(world.tenant) if each.number == event["leaf"])
    assert (event["line"], leaf.body) == (world.line.id, bad), "the leaf stays as evidence"
    assert error_of(world, view.digest) == "line.changed", "what it replaced is not accepted either"
    assert change(world, keep=KeepOptions(60)) == "proposed", "the change is proposed again"
    assert find_proposals(world.tenant).keys() == {world.line.id, other.id}
