"""The search index: what the triggers list, and what they leave nothing of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.auditlog.append import lock_tenant
from recorder.auditlog.leaf_erasure import CallErasure, drop_bodies
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.records import NotRecordedRow, RecordingRow
from recorder.catalogue.tables.listed_call import (
    ListedCallTable,
    ListedColleagueTable,
    ListedLineTable,
    ListedPartyTable,
    PartySuffixTable,
)
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.domain.parties import Party
from recorder.features.call_list import queries, service
from recorder.features.call_list.rules import CallQuery
from recorder.lifecycle import search_index
from tests.tombstones import bury_row
from tests.unit.catalogue.conftest import OTHER, TENANT

pytestmark = pytest.mark.postgresql

SECRET = Party("e164", "+32468135792")
INDEX = search_index.INDEX


def found(text: str, tenant: str = TENANT) -> list[str]:
    page = service.list_calls(CallQuery(tenant, text=text), limit=50)
    assert page.count.number == len(page.calls)
    return sorted(call.row.id for call in page.calls)


def indexed() -> dict[str, list[tuple]]:
    """The index by its values: without the numbers of its rows, which are different each time it is made."""
    with connected():
        parties = {row.id: row.value for row in ListedPartyTable.select()} | {None: None}
        lines = {row.id: (row.line_id, row.number) for row in ListedLineTable.select()}
        calls = [
            (
                c.id, c.tenant_id, c.started_ms, c.recorded, lines[c.line], parties[c.external],
                parties[c.internal], c.direction, c.duration_ms, c.consent, c.agreement, c.reason,
            )
            for c in ListedCallTable.select()
        ]  # fmt: skip
        ends = [(s.tenant_id, s.suffix, parties[s.party]) for s in PartySuffixTable.select()]
        others = [(p.tenant_id, p.value) for p in ListedPartyTable.select()]
        all_lines = [(row.tenant_id, row.line_id, row.number) for row in ListedLineTable.select()]
    return {
        "calls": sorted(calls),
        "ends": sorted(ends),
        "parties": sorted(others),
        "lines": sorted(all_lines),
        "colleagues": sorted(
            (c.tenant_id, c.call_id, parties[c.party], c.started_ms) for c in ListedColleagueTable.select()
        ),
    }


@pytest.fixture
def erase(clock, entropy) -> Callable[[RecordingRow], None]:
    return lambda row: bury_row(row, "expired", now=clock(), entropy=entropy)


def test_erased_number_leaves_with_the_last_call_that_has_it(stored, unrecorded, erase) -> None:
    first, second = stored(external_party=SECRET), stored(internal_party=SECRET)
    missed = unrecorded(external_party=SECRET)
    assert found("813579") == sorted((missed.id, second.id, first.id))
    erase(first)
    assert found("813579") == sorted((missed.id, second.id))
    with writing():
        NotRecordedTable.delete().where(NotRecordedTable.id == missed.id).execute()
    assert found("813579") == [second.id]
    erase(second)
    assert found("813579") == []
    with connected():
        assert not ListedPartyTable.select().where(ListedPartyTable.value == SECRET.value).exists()
        assert [row.suffix for row in PartySuffixTable.select() if "813579" in row.suffix] == []


def test_call_is_found_by_each_colleague_until_it_is_erased(stored, erase, clock) -> None:
    anna, luc, marie = (Party("extension", each) for each in ("70101", "70102", "70103"))
    first = stored(internal_party=marie, colleagues=(anna, luc, marie))
    second = stored(internal_party=luc)
    for person, calls in ((anna, [first.id]), (luc, sorted((first.id, second.id))), (marie, [first.id])):
        assert found(person.value) == calls
    (_, row) = service.list_calls(CallQuery(TENANT), limit=9).calls
    assert row.recording.colleagues == (anna, luc, marie)
    assert (row.recording.our_side, second.our_side) == ((anna, luc, marie), (luc,))
    with writing():
        RecordingTable.update(colleagues=[]).where(RecordingTable.id == first.id).execute()
    assert found(anna.value) == []
    with writing():
        value = [{"kind": each.kind, "value": each.value} for each in (anna, luc, marie)]
        RecordingTable.update(colleagues=value).where(RecordingTable.id == first.id).execute()
    assert found(anna.value) == [first.id]
    erase(first)
    assert (found(anna.value), found(luc.value)) == ([], [second.id])
    with connected():
        assert [row.value for row in ListedPartyTable.select() if row.value.startswith("7010")] == [luc.value]
        assert ListedColleagueTable.select().count() == 0
        assert RecordingTable.get_by_id(first.id).colleagues is None


def test_many_calls_of_one_who_hands_over_are_read_by_windows(stored, clock, monkeypatch) -> None:
    """Somebody at a switchboard is in each call, and never its last colleague."""
    for name, value in (("WINDOW", 6), ("QUICK", 6), ("SHARE", 2), ("COUNTED", 5)):
        monkeypatch.setattr(queries, name, value)
    desk, others = Party("extension", "70100"), [Party("extension", f"{n}") for n in range(70200, 70206)]
    rows = []
    for n in range(30):
        last = others[n % 6]
        stored(started_at=clock() - timedelta(minutes=2 * n + 1))
        at = clock() - timedelta(minutes=2 * n)
        rows.append(stored(started_at=at, internal_party=last, colleagues=(desk, last)))
    for text, expected in (("70100", rows), ("7020", rows), ("70203", rows[3::6])):
        ids, after = [], None
        for _ in range(40):
            page = service.list_calls(CallQuery(TENANT, text=text), after=after, limit=4)
            ids += [each.row.id for each in page.calls]
            after = page.older
            if after is None:
                break
        assert ids == [row.id for row in expected]
        assert page.count.number <= len(expected)


def test_number_leaves_nothing_when_all_calls_are_erased(stored, unrecorded, erase) -> None:
    rows = [stored(external_party=SECRET), stored(external_party=Party("sip", "sip:Anna@example.be"))]
    missed = unrecorded(external_party=SECRET)
    for row in rows:
        erase(row)
    with writing():
        NotRecordedTable.delete().where(NotRecordedTable.id == missed.id).execute()
    with connected():
        assert [model.select().count() for model in INDEX] == [0] * len(INDEX)


@pytest.mark.parametrize("catalogue_kind", ["sqlite"])
def test_erased_number_is_not_in_the_file(catalogue, stored, unrecorded, erase) -> None:
    """Neither whole nor one of its ends, in the file or its log, among many that stay."""
    others = [Party("e164", f"+3247{n:07}") for n in range(0, 9_000_000, 30_000)]
    for party in others[::2]:
        stored(external_party=party)
    rows = [stored(external_party=SECRET), stored(internal_party=SECRET)]
    missed = unrecorded(external_party=SECRET)
    for party in others[1::2]:
        stored(external_party=party)
    file = Path(catalogue.removeprefix("sqlite:///"))
    assert parts_in(file) == {"468135792", "68135792", "8135792", "135792"}
    for row in rows:
        erase(row)
    with writing():
        NotRecordedTable.delete().where(NotRecordedTable.id == missed.id).execute()
        drop_bodies(CallErasure(lock_tenant(TENANT), (missed.id,)))
    with connected():
        database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert parts_in(file) == set()
    assert found("470030000") != []


def parts_in(file: Path) -> set[str]:
    """Which ends of the erased number the database's files contain."""
    content = b"".join(path.read_bytes() for path in file.parent.glob("catalogue.db*"))
    return {part for part in ("468135792", "68135792", "8135792", "135792") if part.encode() in content}


def test_no_tenant_finds_anothers_number(stored, unrecorded) -> None:
    theirs = stored(OTHER, external_party=SECRET)
    missed = unrecorded(OTHER, external_party=SECRET)
    assert found("813579") == []
    assert found("813579", OTHER) == sorted((missed.id, theirs.id))
    mine = stored(external_party=SECRET)
    assert found("813579") == [mine.id]
    with connected():
        owners = {row.id: row.tenant_id for row in ListedPartyTable.select()}
        assert all(owners[row.party] == row.tenant_id for row in PartySuffixTable.select())


def test_forged_index_shows_nothing_of_others(stored) -> None:
    """Whoever can write to the catalogue can hide a call from the list, but show nobody another's."""
    theirs, mine = stored(OTHER, external_party=SECRET), stored()
    with writing():
        (party,) = [row.id for row in ListedPartyTable.select() if row.value == SECRET.value]
        PartySuffixTable.insert(tenant_id=TENANT, suffix="813579", party=party).execute()
        assert found("813579") == []
        ListedCallTable.update(tenant_id=TENANT).where(ListedCallTable.id == theirs.id).execute()
        page = service.list_calls(CallQuery(TENANT), limit=50)
        assert [call.row.id for call in page.calls] == [mine.id]
        ListedCallTable.update(external=party).where(ListedCallTable.id == mine.id).execute()
        listed_page = service.list_calls(CallQuery(TENANT, text="813579"), limit=50)
        assert [call.row.external_party for call in listed_page.calls] in ([], [mine.external_party])


def test_recovered_take_is_listed_once(stored, unrecorded) -> None:
    missed = unrecorded(external_party=SECRET, reason="take.unreadable")
    assert found("813579") == [missed.id]
    row = stored(id=missed.id, external_party=SECRET, prefix="another/")
    (call,) = service.list_calls(CallQuery(TENANT), limit=9).calls
    assert call.recording == row
    assert call.missing is None


def test_index_follows_a_changed_row(stored, clock) -> None:
    row = stored(external_party=SECRET)
    with writing():
        RecordingTable.update(external_value="+33142685300", keep_answer="yes", agreement="agreed").where(
            RecordingTable.id == row.id
        ).execute()
    assert found("813579") == []
    assert found("4268530") == [row.id]
    page = service.list_calls(CallQuery(TENANT, agreement="agreed"), limit=9)
    assert [call.row.id for call in page.calls] == [row.id]


@pytest.mark.parametrize("answer", [None, "no", "none", "yes"])
def test_agreement_entered_after_the_call_is_not_the_other_sides(stored, answer: str | None) -> None:
    row = stored(keep_answer=answer, agreement="entered")
    for kind, ids in (("agreed", []), ("entered", [row.id])):
        page = service.list_calls(CallQuery(TENANT, agreement=kind), limit=9)
        assert [call.row.id for call in page.calls] == ids


def test_call_without_a_customer_is_not_listed(unrecorded) -> None:
    unrecorded(None, external_party=SECRET)
    with connected():
        assert [model.select().count() for model in INDEX] == [0] * len(INDEX)


def test_rebuild_lists_what_the_triggers_list(catalogue: str, clock) -> None:
    count = add_calls(clock())
    before = indexed()
    assert len(before["calls"]) == count
    assert len(before["colleagues"]) > 20
    search_index.rebuild()
    assert indexed() == before


def add_calls(now) -> int:
    """Calls of every kind of two customers; returns how many are to be listed."""
    with writing():
        for tenant in (TENANT, OTHER):
            database.execute_sql(
                "INSERT INTO tenant (id, name, language, languages, time_zone, plan, country, wrapped_key,"
                f" log_size, created_at) VALUES ('{tenant}', '{tenant}', 'fr', '[]', 'UTC', 'starter', 'be',"
                " '{}', 0, '2026-01-01T00:00:00.000Z')"
            )
        for n in range(50):
            tenant = OTHER if n % 5 == 0 else TENANT
            at = now - timedelta(minutes=n)
            RecordingTable.create(
                id=f"r{n:03}", tenant=tenant, line_id=f"line-{n % 3}", number="+3225550100",
                direction="inbound", external_kind="e164", external_value=f"+3247{n % 20:07}",
                internal_kind="extension", internal_value="101", started_at=at, duration_ms=1000,
                colleagues=[{"kind": "extension", "value": f"{n % 4}01"}] if n % 3 else None,
                announcement_id="a", announcement_version=1, announced=n % 2, purposes=[], restricted=[],
                keep_answer=("yes", "no", "none", None)[n % 4],
                agreement=("agreed", "entered", None)[n % 3], keep_until=at,
                prefix=f"p{n}/", manifest_sha256="", wrapped_key=None, objects=[], stored_bytes=1,
                stored_at=at, erased_at=at if n % 10 == 9 else None,
            )  # fmt: skip
            NotRecordedTable.create(
                id=f"u{n:03}", tenant=None if n % 7 == 0 else tenant, line_id=None, number="+3225550100",
                direction="outbound", node="node1", external_kind="sip", external_value=f"sip:Anna{n}@ab",
                started_at=at, ended_at=at, reason=("declined", "no_answer", "full_disk")[n % 3],
                listed_at=at,
            )  # fmt: skip
    return sum(n % 10 != 9 for n in range(50)) + sum(n % 7 != 0 for n in range(50))


def test_rebuild_makes_the_index_again(stored, unrecorded, erase) -> None:
    rows: list[RecordingRow | NotRecordedRow] = [stored(external_party=SECRET), unrecorded(), stored(OTHER)]
    erased_call = stored(external_party=Party("e164", "+32499000000"))
    erase(erased_call)
    before = indexed()
    with writing():
        for model in INDEX:
            model.delete().execute()
        ListedLineTable.create(tenant_id=TENANT, line_id="stray", number="")
        (line,) = [row.id for row in ListedLineTable.select()]
        ListedCallTable.create(
            id=erased_call.id, tenant_id=TENANT, started_ms=0, recorded=1, line=line, direction="inbound"
        )
    search_index.rebuild()
    assert indexed() == before
    assert len(before["calls"]) == len(rows)
