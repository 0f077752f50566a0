from __future__ import annotations

import hashlib
import hmac
import json
import threading

import pytest

from recorder.auditlog import leaf_erasure
from recorder.auditlog.append import (
    OWNER_FIELDS,
    LockedTenant,
    append,
    append_all,
    commitment,
    leaf_hash,
    lock_tenant,
    owning_recording,
    sha256_of,
)
from recorder.auditlog.leaf_erasure import (
    CallErasure,
    DisputeErasure,
    Erasure,
    RecordingErasure,
    drop_bodies,
)
from recorder.catalogue.database import batch, connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import CatalogueError
from recorder.identity import tenants

pytestmark = pytest.mark.postgresql


def test_leaf_hash_matches_rfc_6962() -> None:
    # Certificate Transparency's own test vectors: the empty leaf, and one zero byte.
    assert leaf_hash(b"") == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"\x00") == "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"


def test_leaf_commits_to_body_without_revealing_it(tenant, clock, entropy) -> None:
    body = {"user": "ada@example.be", "recording": "r1", "purposes": ["agreement"], "sent_bytes": 7}
    with writing():
        added = append(tenant, "listen.opened", body, clock(), entropy, recording="r1")
    with connected():
        entry = LeafTable.get(LeafTable.recording_id == "r1")
    assert "ada" not in entry.leaf
    assert "r1" not in entry.leaf
    leaf = json.loads(entry.leaf)
    assert (leaf["number"], leaf["kind"], leaf["at"]) == (
        added.number,
        "listen.opened",
        "2026-11-25T09:00:00.000Z",
    )
    assert leaf["commitment"] == hmac.new(entry.salt, entry.body.encode(), hashlib.sha256).hexdigest()
    assert entry.leaf_hash == hashlib.sha256(b"\x00" + entry.leaf.encode()).hexdigest() == added.leaf_hash
    assert json.loads(entry.body) == body
    assert len(entry.salt) == 32


def test_equal_bodies_have_different_commitments(tenant, clock, entropy) -> None:
    with writing():
        one = append(tenant, "x", {"a": 1}, clock(), entropy)
        two = append(tenant, "x", {"a": 1}, clock(), entropy)
    assert two.number == one.number + 1
    assert one.leaf_hash != two.leaf_hash
    assert commitment(b"s", b"{}") != commitment(b"t", b"{}")


def test_append_outside_transaction_is_refused(tenant, clock, entropy) -> None:
    with pytest.raises(RuntimeError):
        append(tenant, "x", {}, clock(), entropy)


def test_append_for_unknown_tenant_is_refused(tenant, clock, entropy) -> None:
    with pytest.raises(CatalogueError), writing():
        append("nobody", "x", {}, clock(), entropy)


def test_rollback_leaves_no_gap(tenant, clock, entropy) -> None:
    def broken_off() -> None:
        with writing():
            append(tenant, "x", {}, clock(), entropy)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    with writing():
        append(tenant, "y", {}, clock(), entropy)
    assert _numbers() == [0, 1]


def test_concurrent_writers_number_leaves_without_gaps(tenant, clock, entropy) -> None:
    failed: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(25):
                with writing():
                    # Reading first, as most do, must not make a writer find itself overtaken.
                    LeafTable.select().count()
                    append(tenant, "x", {"n": 1}, clock(), entropy)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert _numbers() == list(range(101))


def test_dropped_body_keeps_its_leaf(tenant, clock, entropy) -> None:
    with writing():
        for each in ("r1", "r2"):
            append(tenant, "recording.stored", {"recording": each}, clock(), entropy, recording=each)
        before = [entry.leaf_hash for entry in LeafTable.select().order_by(LeafTable.number)]
        assert drop_bodies(RecordingErasure(lock_tenant(tenant), ("r1",))) == [1]
    assert [entry.leaf_hash for entry in _entries()] == before
    assert [(entry.body is None, entry.salt is None) for entry in _entries()] == [
        (False, False),
        (True, True),
        (False, False),
    ]


def test_body_decides_which_recording_owns_a_leaf(tenant, clock, entropy) -> None:
    """Whatever its row says: bodies that are no bodies any more stay, too."""
    options = {"recording": "r2"}
    with writing():
        append(tenant, "recording.stored", options, clock(), entropy, recording="r2")
        append(tenant, "session.refused", {"user": "u"}, clock(), entropy)
        append(tenant, "recording.stored", {"recording": "r1"}, clock(), entropy, recording="r1")
        LeafTable.update(recording_id="r1").execute()
        LeafTable.update(body="[]").where(LeafTable.number == 0).execute()
        assert drop_bodies(RecordingErasure(lock_tenant(tenant), ("r1",))) == [3]
    assert [entry.body is None for entry in _entries()] == [False, False, False, True]


def test_many_leaves_are_appended_and_dropped_in_batches(tenant, clock, entropy, monkeypatch) -> None:
    monkeypatch.setattr(leaf_erasure, "BATCH", 2)
    bodies = [({"recording": "r1", "n": number}, "r1") for number in range(5)]
    with writing():
        added = append_all(tenant, "recording.stored", bodies, clock(), entropy)
    rows = _entries()[1:]
    assert [(row.number, row.leaf_hash) for row in rows] == [(each.number, each.leaf_hash) for each in added]
    assert [json.loads(row.body)["n"] for row in rows] == [0, 1, 2, 3, 4]
    with writing():
        assert drop_bodies(RecordingErasure(lock_tenant(tenant), ("r1",))) == [1, 2, 3, 4, 5]
    assert [row.body for row in _entries()[1:]] == [None] * 5


def test_columns_are_hashed_as_text_or_as_canonical_json() -> None:
    assert sha256_of("Bonjour") == hashlib.sha256(b"Bonjour").hexdigest()
    assert sha256_of({"b": 1, "a": ["é"]}) == hashlib.sha256('{"a":["é"],"b":1}'.encode()).hexdigest()


@pytest.mark.parametrize(
    ("kind", "body", "recording"),
    [
        ("recording.stored", {"recording": "r1"}, None),
        ("recording.stored", {"recording": "r1"}, "r2"),
        ("recording.erased", {"recording": "r1"}, "r1"),
        ("recording.rebuilt", {"recording": "r1", "erased": True}, "r1"),
        ("access.refused", {"recording": "r1", "reason": "access.not_found"}, "r1"),
        ("session.refused", {"user": "r1"}, "r1"),
    ],
)
def test_leaf_for_another_recording_is_not_written(
    tenant, clock, entropy, kind: str, body: dict[str, object], recording: str | None
) -> None:
    with pytest.raises(ValueError, match="does not belong to"), writing():
        append(tenant, kind, body, clock(), entropy, recording=recording)
    assert _numbers() == [0]


def _entries() -> list[LeafTable]:
    with connected():
        return list(LeafTable.select().order_by(LeafTable.number))


def _numbers() -> list[int]:
    with connected():
        return [entry.number for entry in LeafTable.select().order_by(LeafTable.number)]


def test_lock_of_unknown_tenant_is_refused(tenant) -> None:
    with writing():
        lock_tenant(tenant)
        with pytest.raises(CatalogueError) as failure:
            lock_tenant("01930000-0000-7000-8000-0000000000ff")
    assert failure.value.error_id == "tenant.unknown"


def test_a_lock_lasts_as_long_as_its_transaction(tenant) -> None:
    with pytest.raises(RuntimeError, match="inside the transaction"):
        lock_tenant(tenant)
    with writing():
        locked = lock_tenant(tenant)
        with writing():
            locked.check()
        erasure = RecordingErasure(locked, ("r1",))
    with pytest.raises(RuntimeError, match="has ended"):
        locked.check()
    with writing(), pytest.raises(RuntimeError, match="has ended"):
        drop_bodies(erasure)


def test_an_erasure_drops_its_own_customers_bodies_of_its_own_kinds(tenant, clock, entropy) -> None:
    other = "01930000-0000-7000-8000-0000000000bb"
    tenants.create_tenant(other, name="Van Dyck", wrapped_key="{}", now=clock(), entropy=entropy)
    kinds = ("recording.stored", "call.not_recorded", "dispute.stated")
    with writing():
        for each in (tenant, other):
            for kind in kinds:
                owner = OWNER_FIELDS[kind]
                append(each, kind, {owner: "x"}, clock(), entropy, recording="x")
    left = [{"dispute.stated", "recording.stored"}, {"dispute.stated"}, set()]
    for make, rest in zip((_calls, _recordings, _disputes), left, strict=True):
        with writing():
            assert len(drop_bodies(make(lock_tenant(tenant)))) == 1
            assert drop_bodies(make(lock_tenant(tenant))) == [], "they are named once"
            about = LeafTable.select().where((LeafTable.recording_id == "x") & LeafTable.body.is_null(False))
            bodies = {(row.tenant_id, row.kind) for row in about}
        assert bodies == {(other, kind) for kind in kinds} | {(tenant, kind) for kind in rest}


def _calls(locked: LockedTenant) -> Erasure:
    return CallErasure(locked, ("x",))


def _recordings(locked: LockedTenant) -> Erasure:
    return RecordingErasure(locked, ("x",))


def _disputes(locked: LockedTenant) -> Erasure:
    return DisputeErasure(locked, ("x",), ())


def test_a_batch_numbers_its_leaves_and_counts_them_once(tenant, clock, entropy) -> None:
    other = "01930000-0000-7000-8000-0000000000bb"
    tenants.create_tenant(other, name="Van Dyck", wrapped_key="{}", now=clock(), entropy=entropy)
    with batch():
        for each in (tenant, other, tenant):
            lock_tenant(each)
            append(each, "x", {}, clock(), entropy)
    with writing():
        append(tenant, "x", {}, clock(), entropy)
    with connected():
        numbers = {
            each: [row.number for row in LeafTable.select().where(LeafTable.tenant == each)]
            for each in (tenant, other)
        }
        sizes = {row.id: row.log_size for row in TenantTable.select()}
    assert {each: sorted(found) for each, found in numbers.items()} == {tenant: [0, 1, 2, 3], other: [0, 1]}
    assert sizes == {tenant: 4, other: 2}
    with pytest.raises(CatalogueError), batch():
        append("01930000-0000-7000-8000-0000000000ff", "x", {}, clock(), entropy)


@pytest.mark.parametrize("change", [{"body": "[]"}, {"body": "{"}, {"recording_id": "r2"}])
def test_leaf_that_was_tampered_with_keeps_its_body(tenant, clock, entropy, change: dict[str, str]) -> None:
    with writing():
        append(tenant, "recording.stored", {"recording": "r1"}, clock(), entropy, recording="r1")
        LeafTable.update(**change).where(LeafTable.number == 1).execute()
        assert drop_bodies(RecordingErasure(lock_tenant(tenant), ("r1",))) == []
    assert _entries()[1].body is not None


@pytest.mark.parametrize(
    ("kind", "body", "owner"),
    [
        ("recording.stored", {"recording": "r1"}, "r1"),
        ("recording.stored", {}, None),
        ("recording.rebuilt", {"recording": "r1"}, "r1"),
        ("recording.rebuilt", {"recording": "r1", "erased": True}, None),
        ("access.refused", {"recording": "r1", "reason": "access.held"}, "r1"),
        ("access.refused", {"recording": "r1", "reason": "access.not_found"}, None),
        ("recording.stored", {"recording": "r1", "reason": "access.not_found", "erased": True}, "r1"),
        ("dispute.stated", {"dispute": "d1", "recording": "r1"}, "d1"),
    ],
)
def test_kind_and_body_say_with_what_a_leafs_body_goes(
    kind: str, body: dict[str, object], owner: str | None
) -> None:
    assert owning_recording(kind, body) == owner
