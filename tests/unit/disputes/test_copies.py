"""Copies of disputes in the bucket: complete, unreadable without the recording's key, and enough to make a
lost catalogue's disputes again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from recorder.audit.dispute_copies import CopyAudit
from recorder.audit.disputes import compare_disputes
from recorder.catalogue import database
from recorder.catalogue import queries as catalogue
from recorder.catalogue.database import writing
from recorder.catalogue.tables.dispute import (
    DisputeGuestTable,
    DisputeRecordingTable,
    DisputeStatementTable,
    DisputeTable,
)
from recorder.errors import DisputeError
from recorder.features.disputes.copies import DisputeRecovery, copy_due, restore_disputes
from recorder.features.disputes.duty import OutcomeDuty
from recorder.features.disputes.rules import Dispute
from recorder.features.recovery import rebuild_queue
from recorder.features.recovery.rebuild import Rebuild
from recorder.lifecycle import expiry
from recorder.mail.outbox import Outbox
from recorder.seal.dispute_copy import FOLDER, CopyPlace
from recorder.seal.dispute_kinds import ACCEPTED
from recorder.seal.revocation import Trust
from recorder.seal.streaming_aead import plain_length
from recorder.spool.atomic_files import memory_file
from recorder.store.contract import Unreachable
from tests.catalogue_template import make_catalogue, open_catalogue
from tests.unit.disputes.conftest import NOTICE, Scene


class Stop(BaseException):
    """The process dies."""


def copies(scene: Scene) -> list[str]:
    return list(scene.house.store.list(FOLDER))


def findings(scene: Scene) -> list[str]:
    house = scene.house
    audit = CopyAudit(scene.customer.id, house.store, house.keyring, house.trust, deep=True)
    audit.read()
    return [each.code for each in audit.compare()]


def put(scene: Scene, key: str, content: bytes) -> None:
    with memory_file(content) as path:
        scene.house.store.put(key, path, hashlib.sha256(content).hexdigest())


def restore(house, trust: Trust | None = None):
    return restore_disputes(house.store, house.keyring, trust or house.trust, house.clock, house.entropy)


@contextmanager
def empty_catalogue(house) -> Iterator[None]:
    """Another catalogue, made from the bucket; the house's own is opened again afterwards."""
    url, before = f"sqlite:///{house.folder / 'again.db'}", database.database.obj
    make_catalogue(url)
    opened = open_catalogue(url)
    try:
        Rebuild(
            store=house.store, keyring=house.keyring, root=house.root_public, now=house.clock,
            entropy=house.entropy,
        ).run()  # fmt: skip
        assert not list(rebuild_queue.problems())
        rebuild_queue.finish()
        yield
    finally:
        getattr(opened, "close_all", opened.close)()
        database.database.initialize(before)


def test_the_bucket_has_each_statement_once(scene: Scene) -> None:
    dispute, jan = scene.recognised()
    services = scene.house.services
    assert copy_due(services) == 1
    count = len(scene.find(dispute).statements)
    assert len(copies(scene)) == count
    assert not findings(scene)
    assert copy_due(services) == 0
    scene.agreements.mark_passage(jan, dispute.id, scene.call, 500, 2500, "Here we spoke about the price")
    assert copy_due(services) == 1
    assert len(copies(scene)) == count + 1
    assert not findings(scene)
    assert not list(compare_disputes(scene.customer.id, scene.house.trust))


def test_nothing_in_the_bucket_says_who_differs_about_what(scene: Scene) -> None:
    scene.recognised()
    copy_due(scene.house.services)
    for key in copies(scene):
        content = scene.house.store.read(key)
        assert b"Jan" not in content
        assert b"bread" not in content
        assert plain_length(len(content)) % 1024 == 0


def test_a_lost_catalogue_has_its_disputes_again(scene: Scene, house) -> None:
    dispute, _jan = scene.recognised()
    link = scene.invite(dispute)
    copy_due(house.services)
    before = scene.find(dispute)
    with empty_catalogue(house):
        assert restore(house).count == 1
        assert scene.find(dispute).statements == before.statements
        assert not list(compare_disputes(scene.customer.id, house.trust))
        assert restore(house) == DisputeRecovery()
        assert copy_due(house.services) == 1, "noted, and nothing is put twice"
        assert not findings(scene)
        # Guests come in again by the links that they have.
        assert scene.accept(link).name == "Jan Peeters"
    assert scene.find(dispute).statements == before.statements


def test_a_guest_who_took_part_comes_in_again_after_a_rebuild(scene: Scene, house) -> None:
    dispute = scene.open()
    issued = scene.invite(dispute)
    jan = scene.accept(issued)
    copy_due(house.services)
    with empty_catalogue(house):
        restore(house)
        user = scene.invitations.answer(scene.link(issued), ACCEPTED, notice=NOTICE, language="nl")
        assert (user.id, user.name) == (jan.id, "Jan Peeters")


def test_an_outcome_is_found_by_its_page_after_a_rebuild(scene: Scene, house) -> None:
    dispute, jan = scene.recognised()
    scene.agreements.write_outcome(jan, dispute.id, "as_agreed", "The bread costs 12,50 euros.")
    scene.agreements.confirm_outcome(scene.claire, dispute.id, scene.find(dispute).outcome.sha256)
    house.clock.forward(hours=24)
    OutcomeDuty(house.services, Outbox()).record_due(house.clock())
    from recorder.features.disputes.queries import page_token

    token = page_token(dispute.id)
    copy_due(house.services)
    with empty_catalogue(house):
        restore(house)
        assert scene.agreements.open_page(token).id == dispute.id
        assert not list(compare_disputes(scene.customer.id, house.trust))
        with pytest.raises(DisputeError):
            scene.agreements.open_page("x" * 43)


def test_an_older_backup_gets_the_later_statements(scene: Scene, house) -> None:
    dispute, jan = scene.recognised()
    copy_due(house.services)
    with empty_catalogue(house):
        restore(house)
        early = scene.find(dispute)
        scene.agreements.mark_passage(jan, dispute.id, scene.call, 500, 2500, "Here about the price")
        copy_due(house.services)
    scene_before = scene.find(dispute)
    assert len(scene_before.statements) == len(early.statements)
    assert restore(house).count == 1
    assert len(scene.find(dispute).statements) == len(early.statements) + 1


def test_erasing_a_recording_erases_its_copies_and_the_next_one_gets_them(scene: Scene, house) -> None:
    later = house.call(scene.customer, at=house.clock() - timedelta(days=20))
    day = (house.clock() + timedelta(days=10)).date()
    dispute = scene.disputes.open(scene.claire, [later, scene.call], subject="The bread", settle_by=day)
    copy_due(house.services)
    assert all(f"/{later}/" in key for key in copies(scene))
    scene.disputes.close(scene.claire, dispute.id)
    assert copy_due(house.services) == 1
    while catalogue.recording(scene.customer.id, later).erased_at is None:
        house.clock.forward(days=1)
        expiry.destroy_due(house.services, house.clock())
    if catalogue.recording(scene.customer.id, scene.call).erased_at is not None:
        pytest.fail("both were erased at once: the test shows nothing")
    assert not copies(scene)
    assert copy_due(house.services) == 1
    assert all(f"/{scene.call}/" in key for key in copies(scene))
    assert not findings(scene)


def test_a_missing_key_alone_deletes_no_copy(scene: Scene, house) -> None:
    dispute, _ = scene.recognised()

    def delete_key(step: str) -> None:
        if step == "dispute copied":
            house.store.delete(f"keys/{scene.customer.id}/{scene.call}.json")

    with capture_logs() as logs:
        assert copy_due(replace(house.services, boundary=delete_key)) == 0
    assert len(copies(scene)) == len(scene.find(dispute).statements)
    (failure,) = [line for line in logs if line["event"] == "dispute.not_copied"]
    assert failure["error_id"] == "recording.not_erased"


@pytest.mark.parametrize("found_later", [False, True])
def test_copies_that_an_erasure_overlooked_are_deleted(scene: Scene, house, found_later: bool) -> None:
    dispute, _ = scene.recognised()
    scene.disputes.close(scene.claire, dispute.id)
    late: dict[str, bytes] = {}

    def erase(step: str) -> None:
        """Another worker erases the recording, and looks for copies before these come."""
        if step != "dispute copied":
            return
        late.update({key: house.store.read(key) for key in copies(scene)})
        house.clock.forward(days=300)
        assert expiry.destroy_due(house.services, house.clock()) > 0
        assert not copies(scene)
        for key, content in late.items():
            with memory_file(content) as path:
                house.store.put(key, path, hashlib.sha256(content).hexdigest())
        if found_later:
            raise KeyError("the worker dies")

    assert copy_due(replace(house.services, boundary=erase)) == 0
    assert late
    assert bool(copies(scene)) == found_later
    assert copy_due(house.services) == 0
    assert not copies(scene)


def test_a_statement_that_is_added_meanwhile_is_copied_next(scene: Scene, house) -> None:
    dispute, jan = scene.recognised()

    def add(step: str) -> None:
        if step == "dispute copied":
            scene.agreements.mark_passage(jan, dispute.id, scene.call, 500, 2500, "Here about the price")

    copy_due(replace(house.services, boundary=add))
    assert copy_due(house.services) == 1
    assert len(copies(scene)) == len(scene.find(dispute).statements)


def test_copies_that_contradict_the_catalogue_change_nothing(scene: Scene, house) -> None:
    scene.recognised()
    copy_due(house.services)
    with writing():
        DisputeStatementTable.update(statement="{}").where(DisputeStatementTable.number == 2).execute()
    report = restore(house)
    assert (report.count, [code for _place, code, _why in report.left_out]) == (0, ["dispute.superseded"])


def test_interrupted_it_resumes(scene: Scene, house) -> None:
    dispute, _ = scene.recognised()

    def die(step: str) -> None:
        if step == "dispute copied":
            raise Stop

    with pytest.raises(Stop):
        copy_due(replace(house.services, boundary=die))
    assert copy_due(house.services) == 1
    assert len(copies(scene)) == len(scene.find(dispute).statements)


def test_forged_moved_and_cut_off_copies_are_left_out(scene: Scene, house) -> None:
    dispute, _jan = scene.recognised()
    copy_due(house.services)
    keys = copies(scene)
    moved = house.store.read(keys[0])
    house.store.delete(keys[1])
    put(scene, keys[1], moved)
    put(scene, f"{FOLDER}{scene.customer.id}/readme", b"hello")
    with empty_catalogue(house):
        report = restore(house)
        assert report.count == 0
        assert {code for _place, code, _why in report.left_out} == {"seal.decryption", "object.unplaced"}
        with pytest.raises(DisputeError):
            scene.find(dispute)
    house.store.delete(keys[1])
    with empty_catalogue_again(house):
        assert "dispute.missing" in {code for _place, code, _why in restore(house).left_out}


@contextmanager
def empty_catalogue_again(house) -> Iterator[None]:
    (house.folder / "again.db").unlink()
    with empty_catalogue(house):
        yield


def test_statements_by_a_key_that_was_revoked_since_are_left_out(scene: Scene, house) -> None:
    scene.recognised()
    copy_due(house.services)
    house.clock.forward(days=1)
    trust = Trust(house.root_public, lambda: {house.changes.signer.key_id: house.clock()})
    with empty_catalogue(house):
        report = restore(house, trust)
        assert (report.count, report.left_out[0][1]) == (0, "seal.key_revoked")


def test_the_audit_names_what_is_missing_changed_or_foreign(scene: Scene, house) -> None:
    scene.recognised()
    copy_due(house.services)
    keys = copies(scene)
    content = house.store.read(keys[0])
    house.store.delete(keys[0])
    assert findings(scene) == ["object.missing"]
    put(scene, keys[0], content[:-1] + bytes([content[-1] ^ 1]))
    assert findings(scene) == ["seal.decryption"]
    house.store.delete(keys[0])
    put(scene, keys[0], content)
    foreign = CopyPlace(scene.customer.id, scene.call, "0198f000-0000-7000-8000-000000000000", 1)
    put(scene, foreign.key, content)
    assert findings(scene) == ["object.unknown"]


def test_a_copy_of_a_dispute_that_the_catalogue_lost_is_not_called_foreign(scene: Scene, house) -> None:
    dispute, _jan = scene.recognised()
    copy_due(house.services)
    before = scene.find(dispute)
    with writing():
        for table in (DisputeTable, DisputeRecordingTable, DisputeGuestTable, DisputeStatementTable):
            table.delete().execute()
    assert findings(scene) == ["dispute.lost"] * len(copies(scene))
    assert restore(house).count == 1
    assert not findings(scene)
    assert scene.find(dispute).statements == before.statements


def test_the_last_statement_that_the_catalogue_lost_is_named(scene: Scene, house) -> None:
    scene.recognised()
    copy_due(house.services)
    count = len(copies(scene))
    with writing():
        DisputeStatementTable.delete().where(DisputeStatementTable.number == count).execute()
    assert findings(scene) == ["dispute.lost"]


def test_without_a_key_a_copy_that_the_catalogue_lacks_is_not_called_foreign(scene: Scene, house) -> None:
    scene.open()
    copy_due(house.services)
    with writing():
        for table in (DisputeTable, DisputeStatementTable):
            table.delete().execute()
    audit = CopyAudit(scene.customer.id, house.store, None, house.trust)
    audit.read()
    assert [each.code for each in audit.compare()] == ["dispute.unlisted"]


def test_planted_copies_are_named(scene: Scene, house) -> None:
    dispute, _jan = scene.recognised()
    copy_due(house.services)
    other = house.call(scene.customer)
    content = house.store.read(copies(scene)[0])
    planted = [
        CopyPlace(scene.customer.id, scene.call, dispute.id, len(copies(scene)) + 1),
        CopyPlace(scene.customer.id, scene.call, dispute.id, 0),
        CopyPlace(scene.customer.id, other, dispute.id, 1),
    ]
    for place in planted:
        put(scene, place.key, content)
        assert findings(scene) == ["object.unknown"], place
        house.store.delete(place.key)


def test_a_dispute_row_without_statements_stops_no_audit(scene: Scene, house) -> None:
    scene.open()
    copy_due(house.services)
    with writing():
        row = DisputeTable.select().dicts().get()
        DisputeTable.insert(**row | {"id": scene.call, "page_sha256": "x"}).execute()
    assert findings(scene) == []
    assert [each.code for each in compare_disputes(scene.customer.id, house.trust)] == ["row.unlogged"]


def test_one_dispute_that_cannot_be_copied_delays_no_other(scene: Scene, house) -> None:
    scene.open()
    other = house.call(scene.customer)
    day = (house.clock() + timedelta(days=10)).date()
    scene.disputes.open(scene.claire, [other], subject="The bread", settle_by=day)
    house.store.delete(f"keys/{scene.customer.id}/{scene.call}.json")
    assert copy_due(house.services) == 1
    assert all(f"/{other}/" in key for key in copies(scene))


def test_a_store_that_is_away_is_tried_again(scene: Scene, house) -> None:
    dispute: Dispute = scene.open()

    class Away:
        def __getattr__(self, _name: str):
            raise Unreachable("store.unreachable", "the store is away", "try again")

    with pytest.raises(Unreachable):
        copy_due(replace(house.services, store=Away()))
    assert copy_due(house.services) == 1
    assert scene.find(dispute)
