from __future__ import annotations

import json
from datetime import timedelta

import pytest

from recorder import pipeline
from recorder.catalogue import keeping, queries
from recorder.catalogue.models import LedgerEntry, connected
from recorder.lifecycle import retention
from recorder.seal.keys import data_key_path, tenant_key_path
from recorder.store.base import Unreachable
from recorder.take import spool


def destroy_due(house) -> int:
    return retention.destroy_due(house.means.store, house.clock(), house.entropy)


def test_a_recording_is_kept_as_long_as_announced_then_gone(house) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.at = row.keep_until - timedelta(milliseconds=1)
    assert destroy_due(house) == 0
    house.clock.forward(milliseconds=1)
    assert destroy_due(house) == 1
    assert destroy_due(house) == 0
    assert house.objects() == [tenant_key_path(house.tenant)]
    left = queries.recording(house.tenant, folder.name)
    assert (left.destroyed_why, left.wrapped_key, left.outside) == ("expired", None, None)


def test_a_take_that_was_never_announced_goes_after_thirty_days(house) -> None:
    folder = house.take(announced=False)
    house.work(folder)
    house.clock.forward(days=29)
    assert destroy_due(house) == 0
    house.clock.forward(days=1, minutes=5)
    assert destroy_due(house) == 1
    assert queries.recording(house.tenant, folder.name).destroyed_why == "not_announced"


def test_the_keys_go_first(house) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.at = row.keep_until
    deleted: list[str] = []
    key_was_there: list[bool] = []
    store = house.means.store

    class Watched:
        def delete(self, key: str) -> None:
            deleted.append(key)
            key_was_there.append(queries.recording(house.tenant, row.id).wrapped_key is not None)
            store.delete(key)

        list = store.list

    retention.destroy_due(Watched(), house.clock(), house.entropy)
    assert deleted[0] == data_key_path(house.tenant, row.id)
    assert deleted[1] == row.prefix + "manifest.json"
    assert key_was_there == [True, *[False] * (len(deleted) - 1)]


@pytest.mark.parametrize("after", range(5))
def test_destroying_that_was_broken_off_is_done_again(house, after) -> None:
    folder = house.take()
    house.work(folder)
    row = queries.recording(house.tenant, folder.name)
    house.clock.at = row.keep_until
    store = house.means.store

    class Breaks:
        left = after

        def delete(self, key: str) -> None:
            if not self.left:
                raise Unreachable("store.unreachable", "gone")
            self.left -= 1
            store.delete(key)

        list = store.list

    with pytest.raises(Unreachable):
        retention.destroy_due(Breaks(), house.clock(), house.entropy)
    assert keeping.due(house.clock())
    assert destroy_due(house) == 1
    assert house.objects() == [tenant_key_path(house.tenant)]
    with connected():
        kinds = [leaf.kind for leaf in LedgerEntry.select().order_by(LedgerEntry.number)]
    assert kinds.count("recording.destroyed") == 1


def test_quarantine_ends_on_its_day(house) -> None:
    folder = house.take()
    (folder / spool.AUDIO).write_bytes(b"RIFF")
    pipeline.step(folder, house.clock(), house.means)
    aside = house.spool / spool.QUARANTINE / folder.name
    assert retention.empty_quarantine(house.spool, house.clock() + timedelta(days=29)) == 0
    assert aside.exists()
    assert retention.empty_quarantine(house.spool, house.clock() + timedelta(days=30)) == 1
    assert list((house.spool / spool.QUARANTINE).iterdir()) == []
    assert queries.not_recorded(house.tenant).rows[0].reason == "take.impossible"


@pytest.mark.parametrize("note", [None, b"{", b"[]", json.dumps({"until": "soon"}).encode()])
def test_what_somebody_put_there_by_hand_stays(house, note) -> None:
    aside = house.spool / spool.QUARANTINE / "mine"
    aside.mkdir(parents=True)
    if note is not None:
        (aside / "quarantine.json").write_bytes(note)
    assert retention.empty_quarantine(house.spool, house.clock() + timedelta(days=9999)) == 0
    assert aside.exists()


def test_no_quarantine_is_no_error(house) -> None:
    assert retention.empty_quarantine(house.spool, house.clock()) == 0
