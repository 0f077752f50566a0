"""A rebuild with a revoked key: what it signed is reported and ignored, unless the restored log or an
operator vouches for it; and erased recordings stay erased."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.errors import SealError
from recorder.lifecycle import amendments, line_history
from recorder.lifecycle.amendment_service import Changes
from recorder.lifecycle.amendment_store import chain_of
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import offboarding, signed_document
from recorder.seal.amendment import By
from recorder.seal.amendment_chain import make_tombstone
from recorder.seal.amendment_kinds import ConsentAdded
from recorder.seal.keyring import data_key_path
from tests.amendments import amend
from tests.stored_recordings import forge, receipt_body

from .conftest import rows

CODE = "seal.key_revoked"


@pytest.fixture
def revoked(house) -> Callable[[], dict]:
    """The signing key is revoked from two hours after the start on."""
    taken_back = {house.services.signer.key_id: house.clock() + timedelta(hours=2)}
    return lambda: taken_back


def since(revoked):
    return next(iter(revoked().values()))


def tombstone(house, recording: str):
    row = queries.recording(house.tenant, recording)
    return make_tombstone(chain_of(house.services.store, row.prefix, house.services.root), "expired")


def opens(house, recording: str, revoked) -> str | None:
    """The gate's error for a recording."""
    means = house.services
    try:
        row = queries.recording(house.tenant, recording)
        RecordingVerifier(means.store, means.keyring, means.root, revoked).open(row, house.clock())
    except SealError as error:
        return error.error_id
    return None


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("hours", [-1, 1], ids=["dated-back", "dated-after"])
def test_a_tombstone_by_a_revoked_key_erases_no_existing_recording(
    house, recovery, recorded, revoked, hours, is_lost
) -> None:
    recording = recorded()
    house.clock.at = since(revoked) + timedelta(days=1)
    forge(house, recording, tombstone(house, recording), since(revoked) + timedelta(hours=hours))
    before = rows(RecordingTable)
    if not is_lost:
        assert recovery.rebuild(revoked=revoked).outcomes == {"unchanged": 1}
        assert (rows(RecordingTable), rows(AmendmentTable)) == (before, [])
    else:
        with recovery.empty_catalogue():
            assert recovery.rebuild(revoked=revoked).outcomes == {"made": 1}
            assert rows(RecordingTable) == before, "with its key"
            assert opens(house, recording, revoked) == CODE
    assert [code for code, _ in recovery.troubles] == [CODE]


def test_nor_one_whose_key_is_gone_already(house, recovery, recorded, revoked) -> None:
    """The erasure was interrupted, or the attacker deleted the key: a copy of it may exist."""
    recording = recorded()
    house.clock.at = since(revoked) + timedelta(days=1)
    forge(house, recording, tombstone(house, recording), since(revoked) - timedelta(minutes=30))
    house.services.store.delete(data_key_path(house.tenant, recording))
    with recovery.empty_catalogue():
        assert recovery.rebuild(revoked=revoked).outcomes == {"made": 1}
        assert queries.recording(house.tenant, recording).erased_at is None


def test_accepts_a_date_that_the_operator_vouches_for(house, recovery, recorded, revoked) -> None:
    recording = recorded()
    until = queries.recording(house.tenant, recording).keep_until
    house.clock.at = since(revoked) + timedelta(days=1)
    more = ConsentAdded("agreement", until + timedelta(days=300), "be", "…")
    forge(house, recording, more, since(revoked) - timedelta(minutes=30))
    with recovery.empty_catalogue():
        assert recovery.rebuild(revoked=revoked).outcomes == {"made": 1}
        assert [code for code, _ in recovery.troubles] == [CODE]
        assert queries.recording(house.tenant, recording).keep_until == until
        assert opens(house, recording, revoked) == CODE
        assert recovery.rebuild(revoked=revoked, believe_dates=True).outcomes == {"completed": 1}
        assert recovery.troubles == []
        assert queries.recording(house.tenant, recording).keep_until == more.until
        assert opens(house, recording, revoked) is None


def test_accepts_what_the_restored_log_names(house, recovery, recorded, revoked) -> None:
    recording, services = recorded(), house.services
    house.clock.forward(hours=1)
    changes = Changes(services.store, services.root, services.signer, house.clock, house.entropy)
    options = {"purpose": "agreement", "keep_days": 20, "reason": "on the phone"}
    amend(changes.agree, house.tenant, recording, By("operator"), **options)
    house.clock.at = since(revoked) + timedelta(days=1)
    before = rows(AmendmentTable)
    with writing():
        AmendmentTable.delete().execute()
    assert recovery.rebuild(revoked=revoked).outcomes == {"completed": 1}
    assert rows(AmendmentTable) == before
    assert recovery.troubles == []


def test_keeps_earlier_tombstones(house, recovery, recorded) -> None:
    erased_id = recorded()
    house.clock.forward(days=31)
    assert recovery.destroy_due() == 1
    at = house.clock.forward(hours=1)
    key = house.services.signer.key_id
    before = rows(RecordingTable)
    with recovery.empty_catalogue():
        assert recovery.rebuild(revoked=lambda: {key: at}).outcomes == {"made": 1}
        assert rows(RecordingTable) == before
        assert queries.recording(house.tenant, erased_id).erasure_reason == "expired"
        assert len(amendments.listed_hashes(house.tenant, erased_id)) == 1
        assert recovery.troubles == []


def test_a_receipt_by_a_revoked_key_ends_no_lines(house, recovery, recorded, revoked) -> None:
    recorded()
    at = since(revoked) - timedelta(minutes=30)
    content = signed_document.write(receipt_body(house.tenant, at), house.services.signer)
    file = house.folder / "receipt"
    file.write_bytes(content)
    house.services.store.put(offboarding.place_of(house.tenant), file, hashlib.sha256(content).hexdigest())
    house.clock.at = since(revoked) + timedelta(days=1)

    def ended() -> bool:
        return line_history.has_ended(house.line.id, house.clock())

    assert recovery.rebuild(revoked=revoked).leavers == ()
    assert recovery.troubles == [(CODE, offboarding.place_of(house.tenant))]
    assert not ended()
    report = recovery.rebuild(revoked=revoked, believe_dates=True)
    assert ended()
    assert ([each.tenant for each in report.leavers], report.withheld) == ([house.tenant], {house.tenant: 1})
