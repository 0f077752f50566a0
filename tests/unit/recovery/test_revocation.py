"""A rebuild, and a key that the root took back: what it signed is named and not followed, unless the log that
was restored, or an operator, says that it was there before; and what was destroyed stays destroyed."""

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
from recorder.playback.verified_recording import Seals
from recorder.seal import offboarding, signed_document
from recorder.seal.amendment import By
from recorder.seal.amendment_chain import make_tombstone
from recorder.seal.amendment_kinds import ConsentAdded
from recorder.seal.keyring import data_key_path
from tests.stored import forge, receipt_body

from .conftest import rows

CODE = "seal.key_revoked"


@pytest.fixture
def revoked(house) -> Callable[[], dict]:
    """The signing key is revoked from two hours after the start on."""
    taken_back = {house.means.signer.key_id: house.clock() + timedelta(hours=2)}
    return lambda: taken_back


def since(revoked):
    return next(iter(revoked().values()))


def tombstone(house, recording: str):
    row = queries.recording(house.tenant, recording)
    return make_tombstone(chain_of(house.means.store, row.prefix, house.means.root), "expired")


def opens(house, recording: str, revoked) -> str | None:
    """What the gate says of it."""
    means = house.means
    try:
        row = queries.recording(house.tenant, recording)
        Seals(means.store, means.keyring, means.root, revoked).open(row, house.clock())
    except SealError as error:
        return error.error_id
    return None


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("hours", [-1, 1], ids=["dated-back", "dated-after"])
def test_a_tombstone_of_a_sound_that_is_there_destroys_nothing(
    house, recovery, recorded, revoked, hours, lost
) -> None:
    recording = recorded()
    house.clock.at = since(revoked) + timedelta(days=1)
    forge(house, recording, tombstone(house, recording), since(revoked) + timedelta(hours=hours))
    before = rows(RecordingTable)
    if not lost:
        assert recovery.rebuild(revoked=revoked).outcomes == {"unchanged": 1}
        assert (rows(RecordingTable), rows(AmendmentTable)) == (before, [])
    else:
        with recovery.lost():
            assert recovery.rebuild(revoked=revoked).outcomes == {"made": 1}
            assert rows(RecordingTable) == before, "with its key"
            assert opens(house, recording, revoked) == CODE
    assert [code for code, _ in recovery.troubles] == [CODE]


def test_nor_where_its_key_is_gone_already(house, recovery, recorded, revoked) -> None:
    """Broken off, or the work of whoever put the tombstone: the sound may have a copy of its key."""
    recording = recorded()
    house.clock.at = since(revoked) + timedelta(days=1)
    forge(house, recording, tombstone(house, recording), since(revoked) - timedelta(minutes=30))
    house.means.store.delete(data_key_path(house.tenant, recording))
    with recovery.lost():
        assert recovery.rebuild(revoked=revoked).outcomes == {"made": 1}
        assert queries.recording(house.tenant, recording).erased_at is None


def test_a_date_is_believed_where_an_operator_answers_for_it(house, recovery, recorded, revoked) -> None:
    recording = recorded()
    until = queries.recording(house.tenant, recording).keep_until
    house.clock.at = since(revoked) + timedelta(days=1)
    more = ConsentAdded("agreement", until + timedelta(days=300), "be", "…")
    forge(house, recording, more, since(revoked) - timedelta(minutes=30))
    with recovery.lost():
        assert recovery.rebuild(revoked=revoked).outcomes == {"made": 1}
        assert [code for code, _ in recovery.troubles] == [CODE]
        assert queries.recording(house.tenant, recording).keep_until == until
        assert opens(house, recording, revoked) == CODE
        assert recovery.rebuild(revoked=revoked, believe_dates=True).outcomes == {"completed": 1}
        assert recovery.troubles == []
        assert queries.recording(house.tenant, recording).keep_until == more.until
        assert opens(house, recording, revoked) is None


def test_what_the_restored_log_speaks_of_is_believed(house, recovery, recorded, revoked) -> None:
    recording, given = recorded(), house.means
    house.clock.forward(hours=1)
    changes = Changes(given.store, given.root, given.signer, house.clock, house.entropy)
    said = {"purpose": "agreement", "keep_days": 20, "reason": "on the phone"}
    changes.agree(house.tenant, recording, By("operator"), **said)
    house.clock.at = since(revoked) + timedelta(days=1)
    before = rows(AmendmentTable)
    with writing():
        AmendmentTable.delete().execute()
    assert recovery.rebuild(revoked=revoked).outcomes == {"completed": 1}
    assert rows(AmendmentTable) == before
    assert recovery.troubles == []


def test_what_was_destroyed_before_stays_destroyed(house, recovery, recorded) -> None:
    gone = recorded()
    house.clock.forward(days=31)
    assert recovery.destroy_due() == 1
    at = house.clock.forward(hours=1)
    key = house.means.signer.key_id
    before = rows(RecordingTable)
    with recovery.lost():
        assert recovery.rebuild(revoked=lambda: {key: at}).outcomes == {"made": 1}
        assert rows(RecordingTable) == before
        assert queries.recording(house.tenant, gone).erasure_reason == "expired"
        assert len(amendments.known(house.tenant, gone)) == 1
        assert recovery.troubles == []


def test_a_receipt_of_one_who_left_ends_nobodys_lines(house, recovery, recorded, revoked) -> None:
    recorded()
    at = since(revoked) - timedelta(minutes=30)
    content = signed_document.write(receipt_body(house.tenant, at), house.means.signer)
    file = house.folder / "receipt"
    file.write_bytes(content)
    house.means.store.put(offboarding.place_of(house.tenant), file, hashlib.sha256(content).hexdigest())
    house.clock.at = since(revoked) + timedelta(days=1)

    def ended() -> bool:
        return line_history.ended_before(house.line.id, house.clock())

    assert recovery.rebuild(revoked=revoked).leavers == ()
    assert recovery.troubles == [(CODE, offboarding.place_of(house.tenant))]
    assert not ended()
    report = recovery.rebuild(revoked=revoked, believe_dates=True)
    assert ended()
    assert ([each.tenant for each in report.leavers], report.withheld) == ([house.tenant], {house.tenant: 1})
