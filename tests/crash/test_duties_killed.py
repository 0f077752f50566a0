"""Operations on recordings and customers are killed between their steps: amendments of each kind, a new
retention limit, the restart of a log, an offboarding download, a subject erasure, a restore. Started again,
each finishes once. The short run kills each at one point, the long run at all of them."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from itertools import pairwise

import pytest

from recorder.catalogue import database, offboarding_progress, queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import CheckpointTable, LeafTable
from recorder.catalogue.tables.notification import NotificationTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.catalogue.tables.retention_limit import RetentionLimitTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.features.offboarding import handover_queries, service
from recorder.features.recovery import backup
from recorder.features.subject_requests import reviews
from recorder.features.subject_requests import service as request_register
from recorder.identity import users
from recorder.lifecycle import amendments, expiry
from recorder.seal.verification import verify
from tests.catalogue_template import make_catalogue
from tests.house import Customer
from tests.identity_proof import vouch
from tests.stored_recordings import kinds, put_small

from .conftest import step

KILLED = -signal.SIGKILL


def assert_amended_once(house, recording: str, times: int = 1) -> None:
    """The amendments in the bucket, in the catalogue, and in the log."""
    row = queries.recording(house.tenant, recording)
    report = verify(house.services.store, row.prefix, house.services.root)
    assert report.findings == []
    assert [each.sha256 for each in report.chain.amendments] == list(
        amendments.listed_hashes(house.tenant, recording)
    )
    assert len(report.chain.amendments) == times
    assert kinds(recording).count("recording.amended") == times


def amend_killed(house, what: str, boundary: str) -> None:
    recording = put_small(house, mode="opt-in", answer="yes")
    first = what == "lift" and step(house, "hold", "-", argument=recording) == [0]
    house.clock.forward(minutes=1)
    assert step(house, what, boundary, argument=recording) == [KILLED]
    assert step(house, "finish", "-", days=1) == [0], "the worker does it every minute"
    assert amendments.pending_amendments(house.clock() + timedelta(days=2)) == ()
    if boundary == "begun":
        assert_amended_once(house, recording, int(first))
        assert step(house, what, "-", argument=recording, days=2) == [0]
    assert_amended_once(house, recording, 1 + first)


def test_lists_an_amendment_once(house) -> None:
    amend_killed(house, "agree", "put")


@pytest.mark.long
@pytest.mark.parametrize("boundary", ["begun", "put", "listed"])
@pytest.mark.parametrize("what", ["agree", "withdraw", "narrow", "delete", "lift", "hold"])
def test_killed_at_any_point_it_lists_each_amendment_once(house, what, boundary) -> None:
    amend_killed(house, what, boundary)


def limit_killed(house, *points: str) -> None:
    recordings = [put_small(house) for _ in range(3)]
    house.limit(5)
    assert step(house, "settle", *points) == [KILLED] * len(points)
    with connected():
        assert RetentionLimitTable.get().applied_at is None, "it continues"
    assert step(house, "settle", "-", days=1) == [0]
    with connected():
        assert RetentionLimitTable.get().applied_at is not None
    for recording in recordings:
        row = queries.recording(house.tenant, recording)
        assert row.keep_until == row.stored_at + timedelta(days=5)


def test_retention_limit_applies_to_all(house) -> None:
    limit_killed(house, "read 2")


@pytest.mark.long
def test_killed_at_any_point_the_limit_applies_to_all(house) -> None:
    limit_killed(house, "read 1", "read 2", "read 3")


def begin_killed(house, boundary: str) -> None:
    put_small(house)
    file, means = house.folder / "day.backup", house.services
    backup.write(file, means.keyring, house.clock(), os.urandom, lambda _table, _count: None)
    put_small(house)
    assert step(house, "sign", "-") == [0]
    url = f"sqlite:///{house.folder / 'older.db'}"
    make_catalogue(url)
    own = database.database.obj
    opened = database.open_catalogue(url)
    try:
        backup.restore(file, means.keyring, house.clock(), os.urandom, lambda _table, _count: None)
        assert step(house, "begin", boundary, url=url, days=1) == [KILLED]
        # The worker signs what was written; whoever started it repeats the rest.
        assert step(house, "sign", "-", url=url, days=2) == [0]
        with connected():
            restarts = [leaf.number for leaf in LeafTable.select() if leaf.kind == "log.restarted"]
            last = CheckpointTable.select().order_by(CheckpointTable.number.desc()).get()
            assert (last.epoch, last.size) == (2, TenantTable.get().log_size)
        assert len(restarts) == 1
        assert step(house, "begin", "-", url=url, days=3) == [1], "it continues already"
    finally:
        opened.close()
        database.database.initialize(own)


def test_truncated_log_restarts_once(house) -> None:
    begin_killed(house, "begun")


@pytest.mark.long
@pytest.mark.parametrize("boundary", ["putting json", "has put json", "putting note", "has put note"])
def test_killed_at_any_point_the_log_restarts_once(house, boundary) -> None:
    begin_killed(house, boundary)


def handing_killed(house, *points: str) -> None:
    recordings = [put_small(house) for _ in range(3)]
    service.announce(house.office(), house.tenant, house.clock() + timedelta(days=20))
    assert step(house, "prepare", *points) == [KILLED] * len(points)
    assert offboarding_progress.find_offboarding(house.tenant).handed_at is None
    assert step(house, "prepare", "-", "-", days=5) == [0, 0]
    assert offboarding_progress.find_offboarding(house.tenant).handed_at is not None
    rows = handover_queries.handed_recordings(house.tenant, 0)
    assert sorted(row.recording for row in rows) == sorted(recordings), "each once"
    assert [row.number for row in rows] == [0, 1, 2]
    for before, after in pairwise(rows):
        assert after.at == before.at + before.length, "no overlap"


def test_offboarding_download_has_each_recording_once(house) -> None:
    handing_killed(house, "read 2")


@pytest.mark.long
def test_killed_at_any_point_the_download_has_each_once(house) -> None:
    handing_killed(house, "0 looked at", "read 1", "read 3", "3 looked at")


def person_killed(house, boundary: str) -> None:
    recording = put_small(house)
    more = {"now": house.clock(), "entropy": house.entropy}
    user = users.create_user(
        house.tenant,
        login="claire",
        name="Claire",
        role="customer_admin",
        language="fr",
        password_hash="…",
        **more,
    )
    request = request_register.enter(
        house.tenant, number="+32470123456", wants="erasure", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **more,
    )  # fmt: skip
    vouch(house.tenant, request.id, signer=house.services.signer, **more)
    argument = f"{request.id}/{recording}/{user.id}"
    assert step(house, "person", boundary, argument=argument) == [KILLED]
    assert reviews.reviews_of(house.tenant, request.id)[recording].erased_at is None, (
        "nobody wrote down what came of it"
    )
    assert step(house, "finish", "-", days=1) == [0]
    assert step(house, "person", "-", argument=argument, days=2) == [0]
    review = reviews.reviews_of(house.tenant, request.id)[recording]
    assert review.erased_at is not None
    assert_amended_once(house, recording)
    assert expiry.destroy_due(house.services, house.clock() + timedelta(days=3)) == 1


def test_subject_erasure_is_noted_once(house) -> None:
    person_killed(house, "listed")


@pytest.mark.long
@pytest.mark.parametrize("boundary", ["begun", "put"])
def test_killed_at_any_point_the_erasure_is_noted_once(house, boundary) -> None:
    person_killed(house, boundary)


def test_catalogue_is_restored_whole_or_not_at_all(house) -> None:
    """The other points are in ``test_steps_killed.py``."""
    recording = put_small(house)
    file, means = house.folder / "day.backup", house.services
    backup.write(file, means.keyring, house.clock(), os.urandom, lambda _table, _count: None)
    url = f"sqlite:///{house.folder / 'again.db'}"
    make_catalogue(url)
    ended = step(house, "restore", "recording", "-", argument=str(file), url=url)
    assert ended + step(house, "rebuild", "read", "-", url=url, days=2) == [KILLED, 0, KILLED, 0]
    own = database.database.obj
    opened = database.open_catalogue(url)
    try:
        back = queries.recording(house.tenant, recording)
        assert verify(means.store, back.prefix, means.root, means.keyring).findings == []
        assert back.wrapped_key is not None
    finally:
        opened.close()
        database.database.initialize(own)


def test_admins_are_notified_once(house) -> None:
    customer = Customer(house.tenant, house.line, None)
    house.person(customer, "paul@example.com", "Paul", role="customer_admin")
    house.work(house.unrecorded("daemon_away"))
    points = ("notifications updated", "notifications mailed")
    assert step(house, "notify", "notifications updated", *points) == [KILLED] * 3
    assert step(house, "notify", "-", days=3) == [0]
    with connected():
        assert NotificationTable.select().count() == 1
        (mail,) = OutgoingMailTable.select()
        assert mail.kind == "not_recorded"
