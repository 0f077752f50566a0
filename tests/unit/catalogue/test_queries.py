"""Tenant-scoped queries: filters, order, and nothing of another tenant."""

from __future__ import annotations

from datetime import timedelta

from recorder.catalogue import (
    change_counter,
    erased_call_queries,
    offboarding_progress,
    ping,
    prompt_files,
    queries,
    server_clock,
    subject_request_queries,
    tenant_queries,
)
from recorder.catalogue.database import batch, connected, writing
from recorder.catalogue.offboarding_progress import OffboardingRow
from recorder.catalogue.tables import rebuild_progress
from recorder.catalogue.tables.announcement import PurposeTable
from recorder.catalogue.tables.offboarding import OffboardingTable
from recorder.catalogue.tables.rebuild_progress import GlobalStateTable
from recorder.catalogue.tables.subject_request import ErasedCallTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import CatalogueError, SealError
from recorder.features.subject_requests import service
from recorder.features.tenants import lines
from recorder.lifecycle import line_history
from recorder.seal.keyring import Keyring, make_secret
from tests.expected_errors import expect_error


def test_tenants_are_listed_by_name(tenants) -> None:
    mine, other = tenants
    assert [row.id for row in tenant_queries.all_tenants()] == [mine, other]
    row = queries.tenant(mine)
    assert row is not None
    assert (row.id, row.name, row.country) == (mine, "Boulangerie Martin", "be")
    assert row == tenant_queries.all_tenants()[0]
    assert queries.tenant("nobody") is None


def test_wrapped_key_of_a_tenant(tenants, entropy) -> None:
    mine, other = tenants
    ring = Keyring(make_secret(bytes(32)))
    key, foreign = (ring.new_tenant_key(tenant, entropy) for tenant in tenants)
    with writing():
        TenantTable.update(wrapped_key=key.to_bytes().decode()).where(TenantTable.id == mine).execute()
        TenantTable.update(wrapped_key="").where(TenantTable.id == other).execute()
    assert tenant_queries.tenant_wrapped_key(mine) == key.to_bytes().decode()
    assert tenant_queries.tenant_key(mine) == key
    for nobody in (other, "nobody"):
        assert tenant_queries.tenant_wrapped_key(nobody) is None
        assert tenant_queries.tenant_key(nobody) is None
    for content, error_id in (("{}", "seal.key_damaged"), (foreign.to_bytes(), "seal.key_foreign")):
        with writing():
            text = content if isinstance(content, str) else content.decode()
            TenantTable.update(wrapped_key=text).where(TenantTable.id == mine).execute()
        with expect_error(SealError, error_id):
            tenant_queries.tenant_key(mine)


def test_unknown_tenant_is_an_error_with_a_hint() -> None:
    error = tenant_queries.unknown_tenant("nobody")
    assert (error.error_id, "nobody" in error.message, bool(error.hint)) == ("tenant.unknown", True, True)


def test_lines_are_listed_by_number_and_begin(tenants, announce, clock, entropy) -> None:
    mine, other = tenants
    announcement, now = announce(), {"now": clock(), "entropy": entropy}
    second = lines.create_line(mine, number="200", announcement=announcement, **now)
    first = lines.create_line(mine, number="100", announcement=announcement, **now)
    assert queries.lines(mine) == (first, second)
    assert queries.lines(other) == ()
    line_history.end_line(mine, first.id, **now)
    assert queries.lines(mine) == (second,)
    ended = queries.lines(mine, ended=True)
    assert [row.id for row in ended] == [first.id, second.id]
    assert ended[0].until == clock()
    assert queries.line(mine, first.id) == ended[0]
    assert queries.line(other, first.id) is None
    assert queries.line(mine, "nothing") is None


def test_announcements_are_listed_by_name_and_version(tenants, announce) -> None:
    mine, other = tenants
    old, theirs = announce(name="b"), announce(other)
    new, first = announce(name="b", level=500), announce(name="a")
    assert [row.id for row in queries.announcements(mine)] == [first, new, old]
    assert queries.announcement(mine, old).version == 1
    assert queries.announcement(mine, theirs) is None


def test_unrecorded_calls_are_filtered_and_paged(tenants, unrecorded, clock) -> None:
    mine, other = tenants
    rows = [unrecorded(number=f"+322555010{n}", started_at=clock() + timedelta(hours=n)) for n in range(4)][
        ::-1
    ]
    unrecorded(other)
    first = queries.not_recorded(mine, limit=3)
    assert (first.rows, first.more is not None) == (tuple(rows[:3]), True)
    assert queries.not_recorded(mine, limit=3, after=first.more).rows == tuple(rows[3:])
    assert queries.not_recorded(mine, limit=4).more is None
    assert queries.not_recorded(mine, limit=0).rows == tuple(rows[:1]), "at least one"
    assert queries.not_recorded(mine, party="5550102").rows == (rows[1],)
    theirs = [row for row in rows if row.line == rows[1].line]
    assert queries.not_recorded(mine, scope={rows[1].line}, limit=9).rows == tuple(theirs)
    assert queries.not_recorded(mine, scope={"another"}).rows == ()
    assert queries.not_recorded(mine, party="").rows == tuple(rows)
    at = rows[1].started_at
    assert queries.not_recorded(mine, since=at).rows == tuple(rows[:2])
    assert queries.not_recorded(mine, until=at).rows == tuple(rows[2:])
    found = queries.not_recorded_by_id(mine, [rows[0].id, rows[2].id, "nothing"])
    assert found == {rows[0].id: rows[0], rows[2].id: rows[2]}
    assert queries.not_recorded_by_id(other, [rows[0].id]) == {}


def test_recordings_are_filtered_by_party_and_start(tenants, stored, clock) -> None:
    mine, _ = tenants
    row = stored()
    for digits in ("470123", "1001", "3225550100", ""):
        assert queries.recordings(mine, party=digits).rows == (row,)
    assert queries.recordings(mine, party="999").rows == ()
    assert queries.recordings(mine, since=row.started_at).rows == (row,)
    assert queries.recordings(mine, until=row.started_at).rows == ()
    assert queries.recordings(mine, line="another").rows == ()


def test_own_purposes_have_their_roles(tenants, clock) -> None:
    mine, other = tenants
    with writing():
        PurposeTable.create(
            id="p", tenant=mine, code="sell", labels={}, legal_basis="consent", longest_days=9,
            roles=["customer", "auditor"], created_at=clock(),
        )  # fmt: skip
    assert queries.own_purposes(mine) == {"sell": frozenset({"customer", "auditor"})}
    assert queries.own_purposes(other) == {}


def test_offboarding_progress_is_read_from_its_row(tenants, clock) -> None:
    mine, other = tenants
    assert offboarding_progress.find_offboarding(mine) is None
    assert not offboarding_progress.is_being_erased(mine)
    with writing():
        OffboardingTable.create(tenant_id=mine, announced_at=clock(), until=clock() + timedelta(days=9))
    assert offboarding_progress.find_offboarding(mine) == OffboardingRow(
        tenant=mine, announced_at=clock(), until=clock() + timedelta(days=9), handover=None, log_size=0,
        handed_at=None, layout={}, length=0, erasing_since=None, offboarded_at=None, receipt=None,
    )  # fmt: skip
    assert not offboarding_progress.is_being_erased(mine)
    with writing():
        OffboardingTable.update(
            handover="h", log_size=7, layout={"a": 1}, length=9, erasing_since=clock()
        ).execute()
    row = offboarding_progress.find_offboarding(mine)
    assert row is not None
    assert (row.handover, row.log_size, row.layout, row.length) == ("h", 7, {"a": 1}, 9)
    assert offboarding_progress.is_being_erased(mine)
    assert not offboarding_progress.is_being_erased(other)
    assert offboarding_progress.find_offboarding(other) is None


def test_erased_calls_are_found_by_id_and_request(tenants, stored, clock) -> None:
    mine, other = tenants
    recording = stored()
    with writing():
        for call, tenant, request, note in (
            ("one", mine, "r1", "n1"), ("two", mine, "r1", None), ("three", other, "r2", "n2"),
        ):  # fmt: skip
            ErasedCallTable.create(
                id=call, tenant_id=tenant, request_id=request, erased_at=clock(), note=note
            )
    assert erased_call_queries.find_note("one") == (mine, "n1")
    assert erased_call_queries.find_note("two") == (mine, "")
    assert erased_call_queries.find_note("four") is None
    assert erased_call_queries.erased_among(["one", "three", "four"]) == {"one", "three"}
    assert erased_call_queries.recorded_among(["one", recording.id]) == {recording.id}
    assert erased_call_queries.count_by_request(mine) == {"r1": 2}
    assert erased_call_queries.count_by_request(other) == {"r2": 1}


def test_requests_of_all_customers_are_listed(tenants, clock, entropy) -> None:
    entered = {
        tenant: service.enter(
            tenant, number="+32470123456", wants=wants, language="fr", received_on=clock().date(),
            by_kind="user", by="u", now=clock(), entropy=entropy,
        )
        for tenant, wants in zip(tenants, ("copy", "erasure"), strict=True)
    }  # fmt: skip
    copy, erasure = (subject_request_queries.requests(tenant)[0] for tenant in tenants)
    assert (copy.id, erasure.id) == tuple(entered[tenant].id for tenant in tenants)
    assert {row.id for row in subject_request_queries.requests()} == {copy.id, erasure.id}
    assert (copy.wants_copy, copy.wants_erasure) == (True, False)
    assert (erasure.wants_copy, erasure.wants_erasure) == (False, True)
    assert copy.open
    assert not copy.overdue(copy.due_on)
    assert copy.overdue(copy.due_on + timedelta(days=1))
    service.close(tenants[0], copy.id, how="taken_back", who="u", now=clock(), entropy=entropy)
    (closed,) = subject_request_queries.requests(tenants[0])
    assert not closed.open
    assert not closed.overdue(copy.due_on + timedelta(days=1))


def test_changes_are_counted_by_name(catalogue) -> None:
    assert change_counter.revision("lines") == 0
    with writing():
        change_counter.increment("lines")
        change_counter.increment("lines")
        change_counter.increment("others")
    assert (change_counter.revision("lines"), change_counter.revision("others")) == (2, 1)
    with batch():
        change_counter.increment("lines", "one")
        change_counter.increment("lines", "two")
    with writing():
        change_counter.increment("lines", "two")
        change_counter.increment("others", "three")
    assert change_counter.revision("lines") == 4
    found = [change_counter.changed_tenants("lines", since) for since in (2, 3, 4)]
    assert found == [{"one", "two"}, {"two"}, frozenset()]
    found = ping.ping()
    assert (found.ok, "revision 4" in found.what) == (True, True)


def test_global_state_is_cleared_once(catalogue, clock) -> None:
    with writing():
        for name in ("rebuild", "other"):
            GlobalStateTable.create(name=name, data={}, since=clock())
        assert rebuild_progress.clear_state("rebuild")
        assert not rebuild_progress.clear_state("rebuild")
    with connected():
        assert [row.name for row in GlobalStateTable.select()] == ["other"]


def test_prompt_is_placed_once_and_repaired(tenants, announce, clock, tmp_path) -> None:
    sha256 = queries.announcement(tenants[0], announce()).sound
    assert prompt_files.has_prompt(tmp_path, sha256), "the catalogue has it"
    assert not prompt_files.has_prompt(tmp_path, "ff" * 32)
    path = prompt_files.put_prompt(tmp_path, sha256, clock())
    assert path == tmp_path / "prompts" / f"{sha256}.wav"
    assert prompt_files.is_intact(path, sha256)
    assert prompt_files.has_prompt(tmp_path, sha256), "the file is there"
    content, inode = path.read_bytes(), path.stat().st_ino
    assert prompt_files.put_prompt(tmp_path, sha256, clock() + timedelta(hours=1)) == path
    assert path.stat().st_ino == inode, "an intact file is not written again"
    assert path.stat().st_mtime == (clock() + timedelta(hours=1)).timestamp()
    path.write_bytes(b"damaged")
    assert not prompt_files.is_intact(path, sha256)
    assert prompt_files.put_prompt(tmp_path, sha256, clock()) == path
    assert path.read_bytes() == content
    assert not prompt_files.is_intact(tmp_path / "nothing", sha256)


def test_clock_of_a_catalogue_on_this_machine_is_not_another_one(catalogue) -> None:
    assert server_clock.time_of_catalogue() is None


def test_unavailable_catalogue_has_no_clock(catalogue, tmp_path) -> None:
    from recorder.catalogue import database

    opened = database.open_catalogue(f"sqlite:///{tmp_path / 'nowhere' / 'catalogue.db'}")
    with expect_error(CatalogueError, "catalogue.away"):
        server_clock.time_of_catalogue()
    opened.close()
