"""What the catalogue has to tell, and the mails about it, through a real mail server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from recorder.catalogue import queries as catalogue_queries
from recorder.catalogue.database import connected, database
from recorder.catalogue.records import LineRow, NotRecordedRow
from recorder.catalogue.tables import lease
from recorder.catalogue.tables.notification import NotificationTable
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.clock import to_iso
from recorder.features.fleet.service import NodeReport, report_node
from recorder.features.notifications import queries, service
from recorder.features.notifications.duty import EVERY, LEASE, Notifier
from recorder.features.notifications.rules import KINDS, NOT_RECORDED, LineFailure, Notification
from recorder.features.offboarding import queries as offboarding
from recorder.features.subject_requests import service as request_register
from recorder.features.tenants import composition, setup
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.line_proposals import change_or_propose, drop_proposals
from recorder.identity import users
from recorder.ids import uuid7
from recorder.lifecycle import line_history, recordings, suspension
from recorder.lifecycle.line_proposals import find_proposals
from recorder.mail import delivery
from recorder.mail.outbox import Outbox
from recorder.seal.amendment import By
from tests.amendments import amend
from tests.house import CALLER, Bakery, Customer
from tests.mailbox import Mailbox, mailbox, text_of
from tests.stored_recordings import put_small
from tests.tombstones import bury_row

pytestmark = pytest.mark.postgresql
SQLITE = pytest.mark.parametrize("catalogue_kind", ["sqlite"])
PANEL = "https://accord.example.com"


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as found:
        yield found


def authors(house: Bakery) -> dict:
    return {"now": house.clock(), "entropy": house.entropy}


def fail(house: Bakery, reason: str, line: LineRow | None = None, **ago: float) -> str:
    """A call that was not recorded; its id."""
    line, at = line or house.line, house.clock() - timedelta(**ago)
    row = NotRecordedRow(
        id=str(uuid7(house.clock(), house.entropy)), tenant=house.tenant, line=line.id, number=line.number,
        direction="inbound", node="node1", external_party=CALLER, started_at=at, ended_at=at, reason=reason,
        quarantined_until=None,
    )  # fmt: skip
    assert recordings.add_not_recorded(row, **authors(house))
    return row.id


def notify(house: Bakery, **forward: float) -> int:
    """Have a new worker look, some time later; returns the number of mails that it queued."""
    house.clock.forward(**forward)
    return Notifier(Outbox(house.keyring, PANEL)).notify(house.services)


def outcomes(house: Bakery) -> list[tuple[str, str | None]]:
    """Cause and outcome of each notification, oldest first."""
    with connected():
        rows = NotificationTable.select().order_by(NotificationTable.id)
        return [(row.cause, row.outcome) for row in rows]


def rows(house: Bakery) -> list[Notification]:
    return list(queries.notifications(house.tenant))


def admin(house: Bakery, name: str = "paul", **more):
    customer = Customer(house.tenant, house.line, None)
    return house.person(customer, f"{name}@example.com", name.title(), role="customer_admin", **more)


def another_line(house: Bakery, number: str, label: str = "") -> LineRow:
    return house.add_line(house.tenant, number, house.line.announcement, label=label)


# --- what there is to tell


def test_failure_is_reported_since_it_began_until_the_next_recorded_call(house):
    put_small(house)
    first = house.clock() + timedelta(minutes=1)
    house.clock.forward(minutes=30)
    fail(house, "daemon_away", minutes=29)
    fail(house, "daemon_away", minutes=10)
    fail(house, "declined", minutes=5)
    notify(house)
    (row,) = rows(house)
    assert (row.kind, row.cause, row.line, row.since) == (NOT_RECORDED, "daemon_away", house.line.id, first)
    fail(house, "daemon_away")
    fail(house, "full_disk")
    notify(house, minutes=3)
    assert outcomes(house) == [("daemon_away", None), ("full_disk", None)]
    again = house.clock()
    put_small(house)
    notify(house, minutes=3)
    assert outcomes(house) == [("daemon_away", "recorded_again"), ("full_disk", "recorded_again")]
    assert {row.ended_at for row in rows(house)} == {again}


def test_take_that_was_set_aside_is_reported_whatever_the_error(house):
    fail(house, "take.unreadable", minutes=2)
    fail(house, "encoder.died", minutes=1)
    notify(house)
    assert outcomes(house) == [("set_aside", None)]
    assert rows(house)[0].since == house.clock() - timedelta(minutes=2)


def test_failure_of_long_ago_and_another_customers_are_not_told(house):
    other = house.customer("Van Dyck", "+3225550199", language="en")
    fail(house, "daemon_away", days=3)
    notify(house)
    assert outcomes(house) == []
    fail(house, "daemon_away")
    notify(house, minutes=2)
    assert queries.notifications(other.id) == ()
    assert queries.line_failures(other.id, house.clock() - timedelta(days=2)) == []
    assert queries.recorded_after(other.id, house.line.id, house.clock() - timedelta(days=2)) is None


def test_imported_and_unannounced_calls_end_nothing(house):
    fail(house, "daemon_away", minutes=1)
    notify(house)
    recording = put_small(house, announced=False)
    with connected():
        database.execute_sql(
            f"UPDATE recording SET announced = 1, import_sha256 = 'x' WHERE id = '{recording}'"
        )
    put_small(house, announced=False)
    notify(house, minutes=3)
    assert outcomes(house) == [("daemon_away", None)]


def test_erased_call_takes_nothing_with_it(house):
    call = fail(house, "daemon_away", minutes=1)
    notify(house)
    with connected():
        database.execute_sql(f"DELETE FROM unrecorded_call WHERE id = '{call}'")
    notify(house, minutes=3)
    assert outcomes(house) == [("daemon_away", None)]
    assert call not in repr(rows(house))


def test_suspended_customer_is_told_of_each_recorded_number(house):
    second = another_line(house, "+3225550101")
    never_on = another_line(house, "+3225550102")
    change_line(house.tenant, never_on.id, LineChange(recorded=False), **authors(house))
    fail(house, "suspended")
    notify(house)
    assert outcomes(house) == [("switched_off", None)], "a call that was not recorded for it is no fault"
    assert suspension.suspend(house.tenant, reason="Unpaid", **authors(house))
    since = house.clock()
    fail(house, "daemon_away")
    notify(house, minutes=2)
    of_lines = {(row.line, row.since) for row in rows(house) if row.cause == "suspended"}
    assert of_lines == {(house.line.id, since), (second.id, since)}
    assert "daemon_away" not in repr(outcomes(house))
    assert suspension.resume(house.tenant, **authors(house))
    notify(house, minutes=2)
    ended = [outcome for outcome in outcomes(house) if outcome[0] == "suspended"]
    assert ended == [("suspended", "recorded_again")] * 2


def test_suspension_is_mailed_with_what_goes_on(house, box):
    admin(house, language="fr")
    assert suspension.suspend(house.tenant, house.line.id, reason="Unpaid", **authors(house))
    notify(house)
    assert notify(house, minutes=7) == 1
    assert delivery.send_due(house.services, box.server) == 1
    text = text_of(box.mails[-1])
    assert "Votre fournisseur a suspendu l’enregistrement de ce numéro." in text
    assert "+32 2 555 01 00" in text.replace("\xa0", " ")
    assert suspension.resume(house.tenant, house.line.id, **authors(house))
    notify(house, minutes=3)
    assert notify(house, minutes=61) == 1


def test_proposal_is_mailed_until_it_is_answered(house, box):
    person = admin(house, language="fr")
    longer = {"language": "fr", "mode": "notice", "purposes": ("agreement",), "keep_days": 90}
    change = LineChange(
        announcements=[composition.compose(house.tenant, name="it", **longer, **authors(house)).id]
    )
    put_small(house)
    assert change_or_propose(house.line, change, **authors(house)).code == "proposed"
    assert notify(house) == 1
    assert delivery.send_due(house.services, box.server) == 1
    text = text_of(box.mails[-1])
    assert "Rien ne change sans votre accord." in text
    assert "+32 2 555 01 00" in text.replace("\xa0", " ")
    (proposal,) = find_proposals(house.tenant).values()
    assert drop_proposals(house.tenant, {house.line.id: proposal.number}, who=person.id, **authors(house))
    assert notify(house, minutes=2) == 0
    assert outcomes(house) == [("proposal", "done")]


@SQLITE
def test_line_that_is_switched_off_or_ended_is_reported(house):
    never_on = another_line(house, "+3225550101")
    change_line(house.tenant, never_on.id, LineChange(recorded=False), **authors(house))
    house.clock.forward(days=8)
    fail(house, "daemon_away")
    notify(house)
    assert setup.switch_off(house.tenant, house.line.id, who="x", **authors(house))
    since = house.clock()
    notify(house, minutes=2)
    off = next(row for row in rows(house) if row.cause == "switched_off" and row.line == house.line.id)
    assert (off.since, off.ended_at) == (since, None)
    assert ("daemon_away", "line_stopped") in outcomes(house)
    assert line_history.end_line(house.tenant, house.line.id, **authors(house))
    notify(house, minutes=2)
    assert ("switched_off", "line_stopped") in outcomes(house)
    third = another_line(house, "+3225550103")
    assert line_history.end_line(house.tenant, third.id, **authors(house))
    notify(house, minutes=2)
    (ended,) = [row for row in rows(house) if row.cause == "line_ended"]
    assert (ended.line, ended.state, ended.outcome) == (third.id, "ended", None)


def test_lines_are_reported_while_no_daemon_watches_a_switch(house, box):
    admin(house, language="en")
    other = house.customer("Van Dyck", "+3225550199", language="en")
    change_line(
        house.tenant, another_line(house, "+3225550101").id, LineChange(recorded=False), **authors(house)
    )
    away_from = house.clock()
    notifier = Notifier(Outbox(house.keyring, PANEL))

    def tell(node: str, watched_at: datetime) -> None:
        report_node(NodeReport(node, house.clock(), watched_at, "0.1.0", 0, 0, None, 0, 1000, 500))

    def look(minutes: float = 2) -> list[tuple[str, str | None]]:
        house.clock.forward(minutes=minutes)
        tell("node1", away_from)
        notifier.notify(house.services)
        return [each for each in outcomes(house) if each[0] == "recorder_away"]

    assert [look() for _ in range(5)] == [[]] * 5
    tell("east", house.clock())
    assert look() == [], "the other node may record every call"
    house.clock.forward(minutes=8)
    assert look() == [("recorder_away", None)] * 2, "nothing is known of the other node any more"
    (row,) = [each for each in rows(house) if each.cause == "recorder_away"]
    assert (row.kind, row.line, row.since) == (NOT_RECORDED, house.line.id, away_from)
    assert [each.line for each in queries.notifications(other.id)] == [other.line.id]
    assert look(60) == [("recorder_away", None)] * 2
    delivery.send_due(house.services, box.server)
    assert "The recorder was not running for more than ten minutes" in text_of(box.mails[-1])
    away_from = house.clock()
    assert look() == [("recorder_away", "recorded_again")] * 2
    assert {each.ended_at for each in queries.notifications(other.id)} == {house.clock()}
    away_from = house.clock()
    assert look(13) == [*[("recorder_away", "recorded_again")] * 2, *[("recorder_away", None)] * 2]


@SQLITE
def test_reviews_are_reported_once_and_end_when_they_are_done(house):
    recording = put_small(house)
    amend(house.changes.hold, house.tenant, recording, By("operator"),
        owner="ada", purposes=["agreement"],
        reason="order 12", review_at=house.clock() + timedelta(days=5),
    )  # fmt: skip
    request = request_register.enter(
        house.tenant, number=CALLER.value, wants="copy", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **authors(house),
    )  # fmt: skip
    notify(house)
    assert outcomes(house) == []
    notify(house, days=5)
    notify(house, minutes=2)
    assert outcomes(house) == [("hold", None)]
    assert rows(house)[0].recording == recording
    house.changes.lift(house.changes.look(house.tenant, recording), By("operator"), hold=1, reason="settled")
    notify(house, days=19)
    assert outcomes(house) == [("hold", "done"), ("request", None)]
    (due,) = [row for row in rows(house) if row.cause == "request"]
    assert due.data == {"request": request.id, "due_on": request.due_on.isoformat()}
    assert CALLER.value not in repr(due)


@SQLITE
def test_archive_is_reported_once_it_is_ready(house):
    with connected():
        values = {"announced_at": house.clock(), "until": house.clock() + timedelta(days=30)}
        OffboardingTable.create(tenant_id=house.tenant, handover="h", handed_at=house.clock(), **values)
    notify(house)
    notify(house, minutes=2)
    assert outcomes(house) == [("archive", None)]
    assert rows(house)[0].data == {"until": to_iso(house.clock() - timedelta(minutes=2) + timedelta(days=30))}


@SQLITE
def test_same_import_is_reported_once_for_each_result(house):
    values = {"until": house.clock() + timedelta(days=30), **authors(house)}
    for imported, failed in ((2, 1), (2, 1), (3, 0), (3, 0)):
        service.note_import(house.tenant, b"table", imported=imported, failed=failed, **values)
    service.note_import(house.tenant, b"another table", imported=3, failed=0, **values)
    results = sorted((row.data["imported"], row.data["failed"]) for row in rows(house))
    assert results == [(2, 1), (3, 0), (3, 0)]


@SQLITE
def test_erasure_takes_what_names_the_recording(house):
    recording = put_small(house)
    amend(house.changes.hold, house.tenant, recording, By("operator"), owner="ada", purposes=["agreement"],
        reason="order 12", review_at=house.clock() + timedelta(days=1),
    )  # fmt: skip
    fail(house, "daemon_away")
    notify(house, days=1)
    assert {*outcomes(house)} == {("daemon_away", None), ("hold", None)}
    stored = catalogue_queries.recording(house.tenant, recording)
    assert stored is not None
    bury_row(stored, "deleted", **authors(house))
    assert outcomes(house) == [("daemon_away", None)]


@SQLITE
def test_offboarding_drops_notifications_and_choices(house):
    person = admin(house)
    fail(house, "daemon_away")
    notify(house, minutes=6)
    service.set_choices(house.tenant, person.id, dict.fromkeys(KINDS, "page"))
    offboarding.drop_users(house.order_erasure(house.tenant), **authors(house))
    assert rows(house) == []
    assert queries.choice_row(house.tenant, person.id) is None


def test_old_notifications_are_dropped_and_open_ones_stay(house):
    fail(house, "daemon_away")
    notify(house)
    service.note_import(house.tenant, b"x", imported=1, failed=0, until=house.clock(), **authors(house))
    notify(house, days=91)
    assert outcomes(house) == [("daemon_away", None)]


def test_several_workers_and_repetitions_notify_once(house):
    admin(house)
    fail(house, "daemon_away")
    house.clock.forward(minutes=6)
    assert lease.take(LEASE, "another worker", house.clock())
    assert notify(house) == 0
    lease.release(LEASE, "another worker")
    notifier = Notifier(Outbox(house.keyring, PANEL))
    other = replace(house.services, owner="another")
    assert notifier.notify(house.services) == 0, "it has just begun"
    house.clock.forward(minutes=6)
    assert [notifier.notify(house.services), Notifier(notifier.outbox).notify(other)] == [1, 0]
    house.clock.forward(seconds=EVERY.total_seconds() - 1)
    fail(house, "full_disk")
    assert notifier.notify(house.services) == 0
    assert ("full_disk", None) not in outcomes(house), "it has looked less than two minutes ago"


@SQLITE
def test_worker_looks_at_customers_whose_log_has_grown_and_at_others_once_an_hour(house, monkeypatch):
    others = [house.customer(f"Shop {n}", f"+32255502{n:02}").id for n in range(20)]
    looks: list[str] = []

    def look(tenant: str, *values) -> None:
        looks.append(tenant)
        service.update(tenant, *values)

    monkeypatch.setattr("recorder.features.notifications.duty.update", look)
    notifier = Notifier(Outbox(house.keyring, PANEL))
    admin(house)

    def looked_at(**forward: float) -> list[str]:
        house.clock.forward(**forward)
        looks.clear()
        notifier.notify(house.services)
        return list(looks)

    assert sorted(looked_at()) == sorted([house.tenant, *others])
    fail(house, "daemon_away")
    assert looked_at(minutes=2) == [house.tenant]
    assert outcomes(house) == [("daemon_away", None)]
    put_small(house)
    assert house.tenant in looked_at(minutes=2)
    assert outcomes(house) == [("daemon_away", "recorded_again")]
    later = [looked_at(minutes=2) for _ in range(30)]
    assert sorted(each for some in later for each in some) == sorted([house.tenant, *others])
    assert max(map(len, later)) < 4, "not all of them at once"
    house.clock.forward(days=-1)
    assert len(looked_at(minutes=2)) == 21, "the clock was set back"


@SQLITE
def test_worker_mails_what_has_lasted_without_another_leaf(house):
    admin(house)
    notifier = Notifier(Outbox(house.keyring, PANEL))
    fail(house, "daemon_away")
    mails = []
    for minutes in (0, 3, 3, 3):
        house.clock.forward(minutes=minutes)
        mails.append(notifier.notify(house.services))
    assert mails == [0, 0, 1, 0]
    assert queries.tenants_with_unmailed() == frozenset()


# --- mail


@SQLITE
def test_one_mail_lists_every_line_that_fails_with_the_switch(house, box):
    paul, marie = admin(house), admin(house, "marie", language="en")
    house.person(Customer(house.tenant, house.line, None), "claire@example.com", "Claire")
    others = [another_line(house, f"+32255501{n:02}", label=f"Desk {n}") for n in range(1, 61)]
    for line in (house.line, *others):
        fail(house, "daemon_away", line, minutes=1)
    assert notify(house) == 0, "it may be over in a moment"
    assert notify(house, minutes=5) == 2
    assert delivery.send_due(house.services, box.server) == 2
    assert sorted(box.to) == [marie.login, paul.login]
    french, english = (box.mails[box.to.index(each.login)] for each in (paul, marie))
    text = text_of(english)
    assert english["Subject"].startswith("Not recorded: +32 2 555 01 00, +32 2 555 01 01 (Desk 1)")
    assert "The recorder was not running, so calls went on without it. It usually comes back" in text
    assert text.count("The recorder was not running") == 1
    assert text.count("\n- +32") == 50
    assert "- and 11 more" in text
    assert "since 25 November 2026, 09:59" in text.replace("\u00a0", " ")
    assert f"{PANEL}/notifications" in text
    assert french["Subject"].startswith("Pas d’enregistrement\u00a0:") or " : +32" in french["Subject"]
    assert "L’enregistreur ne fonctionnait pas" in text_of(french)
    assert CALLER.value not in english.as_string()
    html = english.get_body(("html",)).get_content()
    assert html.count("<li>") == 51


@SQLITE
def test_end_is_mailed_and_at_most_one_mail_an_hour(house, box):
    admin(house, language="en")
    fail(house, "daemon_away")
    assert notify(house) + notify(house, minutes=6) == 1
    put_small(house)
    fail(house, "full_disk", another_line(house, "+3225550101"))
    assert notify(house, minutes=10) + notify(house, minutes=20) == 0
    assert notify(house, minutes=30) == 1
    assert delivery.send_due(house.services, box.server) == 2
    first, second = map(text_of, box.mails)
    assert "Recorded again" not in first
    assert second.index("The disk for new recordings was full") < second.index("Recorded again:")
    assert "from 25 November 2026, 10:00 to 25 November 2026, 10:06" in second.replace("\u00a0", " ")
    assert box.mails[1]["Subject"] == "Not recorded: +32 2 555 01 01"
    put_small(house, line=house.line.id)
    assert notify(house, hours=2) == 0


@SQLITE
def test_line_that_works_again_alone_has_a_mail_of_its_own(house, box):
    admin(house, language="en")
    fail(house, "daemon_away")
    notify(house)
    notify(house, minutes=6)
    put_small(house)
    notify(house, minutes=3)
    notify(house, hours=1)
    assert delivery.send_due(house.services, box.server) == 2
    assert box.mails[1]["Subject"] == "Recorded again: +32 2 555 01 00"


@SQLITE
def test_each_admin_chooses_by_kind(house, box):
    paul, marie = admin(house, language="en"), admin(house, "marie", language="en")
    service.set_choices(
        house.tenant, paul.id, {
            "dispute_news": "mail", "not_recorded": "page", "work": "mail", "review": "none",
        },
    )  # fmt: skip
    service.note_import(house.tenant, b"x", imported=2, failed=1, until=house.clock(), **authors(house))
    fail(house, "daemon_away")
    notify(house)
    notify(house, minutes=6)
    delivery.send_due(house.services, box.server)
    assert sorted(box.to) == sorted([paul.login, marie.login, marie.login])
    imported = text_of(box.mails[box.to.index(paul.login)])
    assert "Imported: 2. Not imported: 1." in imported
    with pytest.raises(ValueError, match="channel"):
        service.set_choices(house.tenant, paul.id, dict.fromkeys(KINDS, "mail") | {NOT_RECORDED: "pigeon"})


@SQLITE
def test_waiting_mail_is_not_replaced_by_a_later_one_and_goes_with_its_person(house):
    paul = admin(house)
    fail(house, "daemon_away")
    notify(house)
    notify(house, minutes=6)
    fail(house, "full_disk")
    notify(house, hours=1)
    notify(house, minutes=6)
    with connected():
        assert OutgoingMailTable.select().count() == 2
    users.revoke_user(house.tenant, paul.id, last_admin=True, **authors(house))
    with connected():
        assert OutgoingMailTable.select().count() == 0


@SQLITE
def test_admin_whose_row_was_written_by_hand_gets_no_mail(house):
    paul = admin(house)
    fail(house, "daemon_away")
    notify(house)
    with connected():
        database.execute_sql(f"UPDATE user_account SET login = 'eve@example.com' WHERE id = '{paul.id}'")
    assert notify(house, minutes=6) == 0


@SQLITE
def test_without_a_mail_server_the_page_shows_it(house):
    paul = admin(house)
    fail(house, "daemon_away")
    for minutes in (0, 6):
        house.clock.forward(minutes=minutes)
        assert Notifier().notify(house.services) == 0
    assert service.count_unread(house.tenant, paul.id, house.clock(), admin=True) == 1
    assert notify(house, minutes=6) == 0, "what is old is not mailed once there is one"


@SQLITE
def test_row_that_nobody_of_ours_wrote_is_ignored(house):
    admin(house)
    values = {"tenant": house.tenant, "data": {}, "since": house.clock(), "changed_at": house.clock()}
    with connected():
        NotificationTable.create(id="a", kind=NOT_RECORDED, cause="winner", key="a", **values)
        NotificationTable.create(id="b", kind="prize", cause="daemon_away", key="b", **values)
    assert rows(house) == []
    assert notify(house, minutes=6) == 0


def test_since_is_the_first_failure_after_the_last_recorded_call(house):
    fail(house, "daemon_away", hours=9)
    put_small(house)
    house.clock.forward(hours=1)
    fail(house, "full_disk", minutes=50)
    fail(house, "daemon_away", minutes=40)
    fail(house, "daemon_away", minutes=30)
    last = house.clock() - timedelta(minutes=30)
    found = queries.failure_start(house.tenant, LineFailure(house.line.id, "daemon_away", last))
    assert found == house.clock() - timedelta(minutes=40)
