"""Recordings, amendments and tombstones are restored from the bucket alone (P8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.catalogue import queries, tenant_queries
from recorder.catalogue.database import database, writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.listed_call import ListedCallTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.errors import SealError
from recorder.features.recovery import rebuild_queue
from recorder.features.recovery.rebuild import STRANGE, _places
from recorder.features.recovery.rebuild_queue import QueuedPlace
from recorder.lifecycle import amendment_store, amendments, hold_review, recordings
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import HoldLifted, HoldSet
from recorder.seal.keyring import Keyring, data_key_path, make_secret
from recorder.seal.manifest import MANIFEST
from recorder.seal.sealing import open_manifest
from recorder.store.contract import Unreachable
from tests.conftest import KINDS
from tests.expected_errors import expect_error

from .conftest import catalogued, rows


@pytest.mark.parametrize("catalogue_kind", KINDS)
def test_restores_every_row(house, recovery, recorded) -> None:
    """The rows are those that the pipeline wrote: announced or not, with and without a keep question."""
    for announced in (True, False):
        house.work(house.take(announced=announced))
        house.clock.forward(minutes=1)
    for answer in ("yes", "no", "none"):
        house.work(house.take(question=answer))
        house.clock.forward(minutes=1)
    recorded()
    before = catalogued()
    assert [row["keep_answer"] for row in before[0]] == [None, None, "yes", "no", "none", None]
    with recovery.empty_catalogue():
        report = recovery.rebuild()
        assert report.outcomes == {"made": 6}
        assert recovery.troubles == []
        assert catalogued() == before
        assert [row.name for row in tenant_queries.all_tenants()] == [house.tenant]


@pytest.mark.postgresql
def test_leaves_an_intact_catalogue_unchanged(house, recovery, recorded) -> None:
    for _ in range(2):
        recorded()
    before, leaves = catalogued(), rows(LeafTable)
    report = recovery.rebuild()
    assert (report.outcomes, report.changed) == ({"unchanged": 2}, 0)
    assert (catalogued(), rows(LeafTable)) == (before, leaves)
    assert hold_review.holds_unconfirmed() is None
    assert recovery.troubles == []


def test_restores_no_erased_recording(house, recovery, recorded) -> None:
    erased_id = recorded()
    house.clock.forward(days=10)
    stays = recorded()
    house.clock.forward(days=21)
    assert recovery.destroy_due() == 1
    before = catalogued()
    assert (before[0][0]["erasure_reason"], before[1][0]["kind"]) == ("expired", "erased")
    with recovery.empty_catalogue():
        recovery.rebuild()
        assert catalogued() == before
        row = queries.recording(house.tenant, erased_id)
        assert (row.wrapped_key, row.external_party, row.erasure_reason) == (None, None, "expired")
        assert queries.recording(house.tenant, stays).erased_at is None


@pytest.mark.postgresql
def test_erases_rows_of_recordings_erased_since_the_backup(house, recovery, recorded) -> None:
    """An older catalogue: a copy of its file, or a restored backup."""
    erased_id = recorded()
    (old,) = rows(RecordingTable)
    (leaf,) = [each for each in rows(LeafTable) if each["recording_id"] == erased_id]
    house.clock.forward(days=31)
    assert recovery.destroy_due() == 1
    with writing():
        AmendmentTable.delete().execute()
        RecordingTable.update({name: value for name, value in old.items() if name != "id"}).execute()
        LeafTable.update(body=leaf["body"], salt=leaf["salt"]).where(LeafTable.id == leaf["id"]).execute()
    assert queries.recording(house.tenant, erased_id).external_party is not None
    assert recovery.rebuild().outcomes == {"erased": 1}
    row = queries.recording(house.tenant, erased_id)
    assert (row.erasure_reason, row.external_party, row.wrapped_key) == ("expired", None, None)
    assert [leaf["body"] for leaf in rows(LeafTable) if leaf["recording_id"] == erased_id] == [None]


@pytest.mark.postgresql
def test_restores_the_search_index(house, recovery, recorded) -> None:
    recording = recorded()
    with writing():
        ListedCallTable.delete().execute()
    assert recovery.rebuild().outcomes == {"unchanged": 1}
    assert [row["id"] for row in rows(ListedCallTable)] == [recording]


def test_suspends_expiry_until_the_holds_are_confirmed(house, recovery, recorded) -> None:
    recording = recorded()
    with recovery.empty_catalogue():
        recovery.rebuild()
        house.clock.forward(days=40)
        assert recovery.destroy_due() == 0
        assert hold_review.holds_unconfirmed() is not None
        assert house.confirm_holds()
        assert not house.confirm_holds()
        assert recovery.destroy_due() == 1
        assert queries.recording(house.tenant, recording).erasure_reason == "expired"
        leaves = sorted(rows(LeafTable), key=lambda leaf: leaf["number"])
        assert [leaf["kind"] for leaf in leaves] == [
            "tenant.created",
            "recording.rebuilt",
            "holds.unconfirmed",
            "holds.confirmed",
            "recording.erased",
        ]


def amended(house, recording: str, data) -> None:
    row = queries.recording(house.tenant, recording)
    means = house.services
    chain = amendment_store.chain_of(means.store, row.prefix, means.root)
    by = By("user", "01930000-0000-7000-8000-00000000000c")
    amendment_store.put(means.store, chain, data, by, means.signer, means.root, house.clock())


def hold(house) -> HoldSet:
    return HoldSet(("agreement",), "01930000-0000-7000-8000-00000000000c", "…", house.clock())


def test_restores_a_hold_from_the_bucket(house, recovery, recorded) -> None:
    on_hold, free, lifted = recorded(), recorded(), recorded()
    amended(house, on_hold, hold(house))
    amended(house, lifted, hold(house))
    amended(house, lifted, HoldLifted(1, "they agree"))
    with recovery.empty_catalogue():
        recovery.rebuild()
        assert [(each.recording, each.number) for each in amendments.holds()] == [(on_hold, 1)]
        house.confirm_holds()
        house.clock.forward(days=40)
        assert {each for _tenant, each in recordings.due(house.clock())} == {free, lifted}
        assert recovery.destroy_due() == 2
        assert queries.recording(house.tenant, on_hold).erased_at is None


def test_a_hold_unknown_to_the_catalogue_keeps_the_recording(house, recovery, recorded) -> None:
    on_hold = recorded()
    amended(house, on_hold, hold(house))
    house.clock.forward(days=40)
    assert recordings.due(house.clock()) == ((house.tenant, on_hold),)
    before = house.objects()
    assert recovery.destroy_due() == 0
    assert house.objects() == before
    assert queries.recording(house.tenant, on_hold).wrapped_key is not None
    assert recovery.rebuild().outcomes == {"completed": 1}
    assert recordings.due(house.clock()) == ()


def change(house, key: str, alter) -> None:
    path = house.bucket / key
    path.write_bytes(alter(path.read_bytes()))


def test_names_and_skips_a_forged_manifest(house, recovery, recorded) -> None:
    bad, good = recorded(), recorded()
    place = queries.recording(house.tenant, bad).prefix
    change(house, place + "manifest.json", lambda content: content.replace(b"+3225550100", b"+3225550101"))
    with recovery.empty_catalogue():
        assert recovery.rebuild().outcomes == {"made": 1, "skipped": 1}
        assert recovery.troubles == [("seal.signature", place)]
        assert [row["id"] for row in rows(RecordingTable)] == [good]


def test_skips_a_manifest_in_another_place(house, recovery, recorded) -> None:
    place = queries.recording(house.tenant, recorded()).prefix
    elsewhere = place.replace("/2026/", "/2025/")
    (house.bucket / elsewhere).mkdir(parents=True)
    (house.bucket / elsewhere / "manifest.json").write_bytes(
        (house.bucket / place / "manifest.json").read_bytes()
    )
    with recovery.empty_catalogue():
        assert recovery.rebuild().outcomes == {"made": 1, "skipped": 1}
        assert recovery.troubles == [("manifest.place", elsewhere)]


def test_names_a_second_manifest_of_a_recording(house, recovery, recorded) -> None:
    """Both are signed, and are read together: whoever has a signing key must not stop a rebuild."""
    place = queries.recording(house.tenant, recorded()).prefix
    manifest = open_manifest((house.bucket / place / "manifest.json").read_bytes(), house.root_public)
    second = replace(manifest, started_at=manifest.started_at - timedelta(days=1))
    (house.bucket / second.prefix).mkdir(parents=True)
    content = MANIFEST.write(second, house.services.signer)
    (house.bucket / second.prefix / "manifest.json").write_bytes(content)
    with recovery.empty_catalogue():
        outcomes = recovery.rebuild().outcomes
        assert (outcomes["made"], outcomes["differs"]) == (1, 1)
        assert ("recording.conflict", place) in recovery.troubles
        assert len(rows(RecordingTable)) == 1


def test_a_forged_tombstone_erases_nothing(house, recovery, recorded) -> None:
    first, second = recorded(), recorded()
    house.clock.forward(days=31)
    assert recovery.destroy_due() == 2
    house.clock.at -= timedelta(days=31)
    live = recorded()
    places_of = {each: queries.recording(house.tenant, each).prefix for each in (first, second, live)}
    tombstone = (house.bucket / places_of[first] / "amendment-0001.json").read_bytes()
    (house.bucket / places_of[live] / "amendment-0001.json").write_bytes(tombstone)
    with recovery.empty_catalogue():
        recovery.rebuild()
        assert recovery.troubles == [("amendment.foreign", places_of[live])]
        row = queries.recording(house.tenant, live)
        assert (row.erased_at, row.wrapped_key is None) == (None, False)


def test_names_misplaced_objects(house, recovery, recorded) -> None:
    whole, keyless, soundless = recorded(), recorded(), recorded()
    at = {each: queries.recording(house.tenant, each).prefix for each in (whole, keyless, soundless)}
    (house.bucket / data_key_path(house.tenant, keyless)).unlink()
    (house.bucket / at[soundless] / "audio.opus").unlink()
    (house.bucket / at[whole] / "notes.txt").write_bytes(b"")
    (house.bucket / "letters").mkdir()
    (house.bucket / "letters" / "dear.txt").write_bytes(b"")
    stray = "0198c0de-0000-7000-8000-000000000099"
    (house.bucket / data_key_path(house.tenant, stray)).write_bytes(b"{}")
    uncommitted = f"{house.tenant}/2026/11/25/{stray}/"
    (house.bucket / uncommitted).mkdir()
    (house.bucket / uncommitted / "peaks").write_bytes(b"")
    with recovery.empty_catalogue():
        report = recovery.rebuild()
        assert report.outcomes == {"made": 3, "skipped": 1, "unplaced": 1}
        assert sorted(recovery.troubles) == sorted(
            [
                ("object.unknown", at[whole]),
                ("key.missing", at[keyless]),
                ("object.missing", at[soundless]),
                ("manifest.missing", uncommitted),
                ("object.unplaced", "letters/"),
            ]
        )
        row = queries.recording(house.tenant, keyless)
        assert (row.wrapped_key, row.external_party) == (None, None)


def test_a_flooded_place_costs_little_and_hides_nothing(house, recovery, recorded) -> None:
    place = queries.recording(house.tenant, recorded()).prefix
    for number in range(STRANGE + 50):
        (house.bucket / place / f"a-{number}").write_bytes(b"")
    with recovery.empty_catalogue():
        assert recovery.rebuild().outcomes == {"made": 1}
        assert [code for code, _ in recovery.troubles] == ["object.unknown"]
    ((found, last),) = _places(iter(sorted(key for key in house.objects() if key.startswith(place))))
    assert len([name for name in found.names if name.startswith("a-")]) == STRANGE
    assert {"manifest.json", "peaks"} < set(found.names)
    assert last == place + "peaks"


def test_a_recording_in_progress_suspends_nothing(house, recovery, recorded) -> None:
    """A worker is between bucket and catalogue during the rebuild."""
    recorded()
    house.clock.forward(days=1)
    under_way = recorded()
    with writing():
        RecordingTable.delete().where(RecordingTable.id == under_way).execute()
    house.clock.forward(minutes=1)
    assert recovery.rebuild().outcomes == {"unchanged": 1, "made": 1}
    assert hold_review.holds_unconfirmed() is None
    with writing():
        RecordingTable.delete().where(RecordingTable.id == under_way).execute()
    house.clock.forward(hours=1)
    assert recovery.rebuild().outcomes == {"unchanged": 1, "made": 1}
    assert hold_review.holds_unconfirmed() is not None


def test_names_rows_and_keys_without_a_recording(house, recovery, recorded) -> None:
    listed_id, lost_id = recorded(), recorded()
    place = queries.recording(house.tenant, lost_id).prefix
    for path in (house.bucket / place).iterdir():
        path.unlink()
    assert recovery.rebuild().outcomes == {"unchanged": 1, "row_alone": 1, "key_alone": 1}
    assert sorted(recovery.troubles) == [
        ("key.alone", data_key_path(house.tenant, lost_id)),
        ("row.alone", place + "*"),
    ]
    assert queries.recording(house.tenant, listed_id) is not None


def test_names_a_key_that_reappeared_after_an_erasure(house, recovery, recorded) -> None:
    recording = recorded()
    row = queries.recording(house.tenant, recording)
    house.clock.forward(days=31)
    recovery.destroy_due()
    (house.bucket / data_key_path(house.tenant, recording)).write_bytes(row.wrapped_key.encode())
    (house.bucket / row.prefix / "peaks").write_bytes(b"")
    with recovery.empty_catalogue():
        recovery.rebuild()
        assert recovery.troubles == [("object.not_erased", row.prefix)]
        assert queries.recording(house.tenant, recording).wrapped_key is None


@pytest.mark.postgresql
def test_names_a_contradicting_row_and_corrects_it_on_request(house, recovery, recorded) -> None:
    recording = recorded()
    before = catalogued()
    with writing():
        RecordingTable.update(number="+3225550199", restricted=["agreement"]).execute()
    assert recovery.rebuild().outcomes == {"differs": 1}
    assert recovery.troubles[0][0] == "seal.row_differs"
    assert recovery.rebuild(correct=True).outcomes == {"corrected": 1}
    assert queries.recording(house.tenant, recording).restricted == ("agreement",), "only a row restricts"
    with writing():
        RecordingTable.update(restricted=[]).execute()
    assert catalogued() == before


def test_never_restores_a_tombstone_row(house, recovery, recorded) -> None:
    recording = recorded()
    with writing():
        RecordingTable.update(erased_at=house.clock(), erasure_reason="expired", wrapped_key=None).execute()
    assert recovery.rebuild(correct=True).outcomes == {"differs": 1}
    assert recovery.troubles[0][0] == "row.erased"
    assert queries.recording(house.tenant, recording).wrapped_key is None


def test_stops_at_the_wrong_key_encryption_key_without_losing_parties(house, recovery, recorded) -> None:
    recorded()
    with recovery.empty_catalogue():
        with expect_error(SealError, "seal.kek_missing"):
            recovery.rebuild(keyring=Keyring(make_secret(bytes(32))))
        assert rows(RecordingTable) == []
        assert recovery.rebuild().outcomes == {"made": 1}


@pytest.mark.postgresql
@pytest.mark.parametrize("after", [1, 5, 9, 13])
def test_resumes_after_an_interruption_anywhere(house, recovery, recorded, after, monkeypatch) -> None:
    from recorder.features.recovery import rebuild

    monkeypatch.setattr(rebuild, "BATCH", 1)
    monkeypatch.setattr(rebuild, "LISTED", 1)
    for _ in range(3):
        recorded()
    before = catalogued()
    store = house.services.store

    class Breaks:
        left = after

        def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
            self._count()
            return store.read(key, start, end)

        def list(self, prefix: str, after: str = ""):
            for key in store.list(prefix, after):
                self._count()
                yield key

        def _count(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Unreachable("store.unreachable", "away", "try again")

    with recovery.empty_catalogue():
        with pytest.raises(Unreachable):
            recovery.rebuild(store=Breaks(), threads=1)
        report = recovery.rebuild()
        assert report.resumed
        assert report.outcomes == {"made": 3}
        assert catalogued() == before


@pytest.mark.parametrize(
    "change",
    [
        "data = '{\"x\": 1}'", "data = '{\"phase\": \"other\", \"after\": \"\"}'",
        "data = '{\"phase\": \"keys\", \"after\": 1}'", "data = '[]'", "data = '['", "since = 'garbage'",
    ],
)  # fmt: skip
def test_begins_anew_where_the_position_is_not_what_it_wrote(recovery, recorded, change: str) -> None:
    """The outcomes of its queue do not count either."""
    recorded()
    rebuild_queue.begin(recovery.house.clock())
    rebuild_queue.add([QueuedPlace("a/place/", (), "", "made")], "read", "")
    with writing():
        database.execute_sql(f"UPDATE global_state SET {change}")
    report = recovery.rebuild()
    assert (report.outcomes, report.resumed) == ({"unchanged": 1}, False)
