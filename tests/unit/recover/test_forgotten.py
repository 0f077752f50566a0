"""Calls that were not recorded and were erased at their person's request stay away: from a node that comes to
them once more, and from an older backup."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from recorder import pipeline
from recorder.catalogue import forgetting, persons, recovering
from recorder.catalogue.asking import ForgottenCall
from recorder.catalogue.models import LedgerEntry, NotRecorded
from recorder.catalogue.persons import RequestRow
from recorder.errors import SealError
from recorder.ledger.audit import Audit
from recorder.lifecycle import forgetting as forgotten_calls
from recorder.lifecycle.changing import Changes
from recorder.recover import backup
from recorder.seal import canonical
from tests.conftest import House
from tests.vouching import vouch

from .conftest import Recovery, rows

SQLITE = pytest.mark.parametrize("catalogue_kind", ["sqlite"])
LONG = partial(pytest.param, marks=pytest.mark.long)


@pytest.fixture
def missed(house: House, recorded) -> list[str]:
    """Two calls of one person that were not recorded."""
    recorded()
    folders = [house.unrecorded() for _ in range(2)]
    for folder in folders:
        shutil.copytree(folder, house.root / "older" / folder.name)
        house.work(folder)
    return [folder.name for folder in folders]


@pytest.fixture
def changes(house: House) -> Changes:
    means = house.means
    return Changes(means.store, means.root_public, means.signer, house.clock, house.entropy)


@pytest.fixture
def asked(house: House, missed) -> RequestRow:
    said = {"now": house.clock(), "entropy": house.entropy}
    number = rows(NotRecorded)[0]["outside_value"]
    made = persons.enter(
        house.tenant, number=number, wants="erasure", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **said,
    )  # fmt: skip
    vouch(house.tenant, made.id, **said)
    return persons.request(house.tenant, made.id)


def write(house: House) -> Path:
    path = house.root / "accord.backup"
    backup.write(path, house.means.keyring, house.clock(), house.entropy, lambda _table, _rows: None)
    return path


def opened(missed: list[str]) -> list[str]:
    """What the log can be opened with of these calls."""
    return [leaf["body"] for leaf in rows(LedgerEntry) if leaf["recording_id"] in missed and leaf["body"]]


def test_an_older_backup_brings_none_of_them_back(
    house: House, missed, asked, changes, recovery: Recovery
) -> None:
    path = write(house)
    assert forgotten_calls.erase(changes, asked, "u") == forgotten_calls.Forgotten(2, 0)
    assert rows(NotRecorded) == opened(missed) == []
    with recovery.lost():
        backup.restore(path, house.means.keyring, house.clock(), house.entropy, lambda _table, _rows: None)
        assert [row["id"] for row in rows(NotRecorded)] == sorted(missed)
        assert recovery.rebuild().outcomes == {"completed": 1}
        assert recovery.troubles == []
        assert rows(NotRecorded) == opened(missed) == []
        assert forgetting.counts(house.tenant) == {asked.id: 2}
        (said,) = [leaf for leaf in rows(LedgerEntry) if leaf["kind"] == "calls.forgotten"]
        assert recovery.rebuild().changed == 0
        assert [leaf for leaf in rows(LedgerEntry) if leaf["kind"] == "calls.forgotten"] == [said], "once"
        recovering.confirm_holds(house.clock(), house.entropy)
        means = house.means
        audit = Audit(means.store, means.root_public, house.clock(), means.keyring)
        assert [each.code for each in audit.tenant(house.tenant)] == []


@SQLITE
def test_a_node_that_comes_to_them_again_lists_nothing(house: House, missed, asked, changes) -> None:
    """From a copy of its spool, or after it died between listing a call and removing its folder."""
    forgotten_calls.erase(changes, asked, "u")
    for name in missed:
        folder = Path(shutil.copytree(house.root / "older" / name, house.spool / name))
        house.work(folder)
        assert not folder.exists()
    assert rows(NotRecorded) == opened(missed) == []


@SQLITE
@pytest.mark.parametrize("at", [LONG("encode"), "store", LONG("catalogue")])
def test_a_take_that_was_set_aside_and_forgotten_is_not_kept(house: House, asked, changes, at) -> None:
    folder = house.take(talk_ms=300, formats=("wav",))
    while pipeline.next_stage(folder) != at:
        pipeline.step(folder, house.clock(), house.means)
    copy = house.root / "older" / folder.name
    shutil.copytree(folder, copy)
    pipeline.put_aside(folder, "take.impossible", house.clock(), house.means)
    assert forgotten_calls.erase(changes, asked, "u").erased == 3
    house.work(Path(shutil.copytree(copy, house.spool / folder.name)))
    assert not [key for key in house.objects() if folder.name in key and not key.endswith("manifest.json")]
    assert all(row["id"] != folder.name for row in rows(NotRecorded))


@SQLITE
def test_broken_off_it_is_asked_again_and_counted_once(house: House, missed, asked, changes) -> None:
    class Killed(BaseException):
        pass

    def die(boundary: str) -> None:
        raise Killed(boundary)

    with pytest.raises(Killed, match="note put"):
        forgotten_calls.erase(replace(changes, boundary=die), asked, "u")
    assert len(rows(NotRecorded)) == 2
    assert forgotten_calls.erase(changes, asked, "u").erased == 2
    assert forgotten_calls.erase(changes, asked, "u").erased == 0
    assert [row["id"] for row in rows(ForgottenCall)] == sorted(missed)


@SQLITE
def test_a_note_that_was_not_signed_so_is_refused(house: House, asked, changes, recovery) -> None:
    forgotten_calls.erase(changes, asked, "u")
    (key,) = [key for key in house.objects() if key.startswith(forgotten_calls.NOTES)]
    content = house.means.store.read(key)
    body = canonical.load(content, "note")
    body["body"]["calls"] = ["another"]
    with pytest.raises(SealError, match="signature"):
        forgotten_calls.read(canonical.dump(body), house.means.root_public)
    elsewhere = house.bucket / "forgotten" / "another" / "n.json"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(content)
    with pytest.raises(SealError, match="note of customer"):
        recovery.rebuild()
