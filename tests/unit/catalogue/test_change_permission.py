"""The provider narrows what a number promises, and widens it only with a yes of the customer's admins."""

from __future__ import annotations

import pytest

from recorder.auditlog.append import tenant_lock
from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.records import KeepOptions
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.errors import AccordError
from recorder.features.tenants import default_lines, lines
from recorder.features.tenants.change_permission import OPERATOR, permit_change
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.setup import switch_off
from recorder.identity import users
from recorder.lifecycle.line_history import end_line
from recorder.prompts import composer
from tests.unit.catalogue.promised_world import NUMBER, WIDER, refused

pytestmark = pytest.mark.postgresql


@pytest.mark.parametrize("wider", WIDER)
def test_operator_does_not_widen_alone(world, wider) -> None:
    announcement, before = world.say(**WIDER[wider]), world.announced()
    assert refused(lambda: world.change(announcements=[announcement])), wider
    assert refused(lambda: world.change(world.colleague, announcements=[announcement])), "no admin"
    assert world.announced() == before
    world.change(world.admin, announcements=[announcement])
    assert world.announced() == (announcement,)


def test_operator_narrows_and_goes_no_way_back(world) -> None:
    for narrower in ({"keep_days": 14}, {"keep_days": 14, "mode": "opt-in"}):
        before, announcement = world.announced(), world.say(**narrower)
        world.change(announcements=[announcement])
        assert world.announced() == (announcement,)
        assert refused(lambda before=before: world.change(announcements=before))


def test_keep_question_counts(world) -> None:
    assert refused(lambda: world.change(keep=KeepOptions(365)))
    world.change(keep=KeepOptions(30))
    assert refused(lambda: world.change(keep=KeepOptions(30, purpose="quality")))
    world.change(world.admin, keep=KeepOptions(365, destroy=True))
    assert refused(lambda: world.change(keep=None)), "what nobody agreed to is kept again"
    world.change(keep=KeepOptions(90, destroy=True))


def test_other_settings_are_the_operators(world) -> None:
    world.change(label="Front desk", beep="both")


def test_before_the_first_recording_the_operator_sets_up(empty) -> None:
    empty.change(announcements=[empty.say(**WIDER["a longer retention"])])
    empty.change(empty.admin, announcements=[empty.say(keep_days=7)])
    assert refused(lambda: empty.change(announcements=[empty.say()])), "the customer has chosen since"


def test_customer_without_people_agrees_elsewhere(tenants, stored, announce, clock, entropy) -> None:
    at = {"now": clock(), "entropy": entropy}
    line = lines.create_line(tenants[0], number=NUMBER, announcement=announce(), **at)
    stored(tenants[0])
    assert change_line(tenants[0], line.id, LineChange(keep=KeepOptions(365)), **at)


@pytest.mark.parametrize("number", [NUMBER, "003225550101", "3225550101"])
def test_number_does_not_end_and_begin_wider(world, number) -> None:
    wider = world.say(**WIDER["a longer retention"])
    end_line(world.tenant, world.line.id, **world.at)
    again = lambda announcement, **more: lines.create_line(  # noqa: E731
        world.tenant, number=number, announcement=announcement, **more, **world.at
    )
    assert refused(lambda: again(wider))
    line = again(wider, recorded=False)
    assert refused(lambda: world.change(line=line.id, recorded=True)), "its admins switch it on"
    world.change(line=line.id, announcements=[world.say(keep_days=14)], recorded=True)


def test_an_ended_number_whose_row_is_gone_does_not_begin_wider(world) -> None:
    wider = world.say(**WIDER["a longer retention"])
    end_line(world.tenant, world.line.id, **world.at)
    with writing():
        assert lines.LineTable.delete().where(lines.LineTable.id == world.line.id).execute() == 1
    assert refused(lambda: lines.create_line(world.tenant, number=NUMBER, announcement=wider, **world.at))
    assert lines.create_line(world.tenant, number=NUMBER, announcement=world.say(keep_days=14), **world.at)


def test_new_number_is_the_operators_choice_until_something_is_recorded(world, stored) -> None:
    parts = {"announcement": world.say(**WIDER["a longer retention"]), **world.at}
    line = lines.create_line(world.tenant, number="+3225550102", **parts)
    world.change(line=line.id, keep=KeepOptions(365))
    stored(world.tenant)
    assert refused(lambda: world.change(line=line.id, keep=KeepOptions(730)))


def test_operator_does_not_switch_on_what_the_customer_switched_off(world) -> None:
    assert switch_off(world.tenant, world.line.id, who=world.admin, **world.at)
    assert refused(lambda: world.change(recorded=True))
    world.change(announcements=[world.say(keep_days=90)])
    world.change(world.admin, recorded=True)


def test_rows_alone_permit_nothing(world) -> None:
    """A colleague's row that says admin, and a row of the line that says that it promised more."""
    wider = world.say(**WIDER["a longer retention"])
    with writing():
        users.UserTable.update(role="customer_admin").where(users.UserTable.id == world.colleague).execute()
        lines.LineTable.update(announcement=wider).where(lines.LineTable.id == world.line.id).execute()
    for who in (OPERATOR, world.colleague):
        assert refused(
            lambda who=who: world.change(
                who,
                announcements=[
                    wider,
                ],
            )
        )


@pytest.mark.parametrize("kind", ["line.created", "line.changed", "recording.stored"])
def test_a_log_with_a_gap_permits_nothing(world, kind) -> None:
    world.change(announcements=[world.say(keep_days=14)])
    with writing():
        LeafTable.delete().where((LeafTable.tenant == world.tenant) & (LeafTable.kind == kind)).execute()
    with pytest.raises(AccordError) as failure:
        world.change(announcements=[world.say(keep_days=7)])
    assert failure.value.error_id == "audit_log.incomplete"


def test_a_damaged_leaf_permits_nothing(world) -> None:
    world.change(announcements=[world.say(keep_days=14)])
    with writing():
        mine = (LeafTable.tenant == world.tenant) & (LeafTable.kind == "line.changed")
        LeafTable.update(body=LeafTable.body.concat(" ")).where(mine).execute()
    with pytest.raises(AccordError) as failure:
        world.change(announcements=[world.say(keep_days=7)])
    assert failure.value.error_id == "leaf.damaged"


def test_permission_ends_with_its_lock(world) -> None:
    with tenant_lock(world.tenant) as locked:
        permission = permit_change(locked, world.line.id, world.admin)
    with pytest.raises(RuntimeError):
        permission.check(world.announced(), None, "opt-out")


def test_moved_number_begins_afresh_and_comes_back_as_it_was(world, tenants) -> None:
    other = queries.tenant(tenants[1])
    owner = queries.tenant(world.tenant)
    assert other is not None
    assert owner is not None
    parts = {"sources": composer.SHIPPED, **world.at}
    moved = default_lines.move_line(world.line, other, recorded=True, **parts)
    assert moved is not None
    there = queries.line(other.id, moved)
    assert there is not None
    wider = world.say(**WIDER["a longer retention"])
    assert refused(lambda: default_lines.move_line(there, owner, announcement=wider, recorded=True, **parts))
    assert default_lines.move_line(there, owner, announcement=wider, **parts) is not None
