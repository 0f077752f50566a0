from __future__ import annotations

import hashlib
import hmac
import json
import threading

import pytest

from recorder.auditlog.append import append, commitment, drop_bodies, leaf_hash, lock_tenant
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.errors import CatalogueError
from recorder.identity import tenants

pytestmark = pytest.mark.postgresql

TENANT = "01930000-0000-7000-8000-00000000000a"


@pytest.fixture
def tenant(catalogue, clock, entropy) -> str:
    tenants.create_tenant(TENANT, name="Martin", wrapped_key="{}", now=clock(), entropy=entropy)
    return TENANT


def test_a_leafs_hash_is_that_of_rfc_6962() -> None:
    # Certificate Transparency's own test vectors: the empty leaf, and one zero byte.
    assert leaf_hash(b"") == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"\x00") == "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"


def test_a_leaf_commits_to_its_body_and_tells_nothing_of_it(tenant, clock, entropy) -> None:
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


def test_two_leaves_of_the_same_body_commit_differently(tenant, clock, entropy) -> None:
    with writing():
        one = append(tenant, "x", {"a": 1}, clock(), entropy)
        two = append(tenant, "x", {"a": 1}, clock(), entropy)
    assert two.number == one.number + 1
    assert one.leaf_hash != two.leaf_hash
    assert commitment(b"s", b"{}") != commitment(b"t", b"{}")


def test_a_leaf_outside_a_transaction_is_refused(tenant, clock, entropy) -> None:
    with pytest.raises(RuntimeError):
        append(tenant, "x", {}, clock(), entropy)


def test_an_unknown_tenant_has_no_log(tenant, clock, entropy) -> None:
    with pytest.raises(CatalogueError), writing():
        append("nobody", "x", {}, clock(), entropy)


def test_what_is_rolled_back_leaves_no_gap(tenant, clock, entropy) -> None:
    def broken_off() -> None:
        with writing():
            append(tenant, "x", {}, clock(), entropy)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    with writing():
        append(tenant, "y", {}, clock(), entropy)
    assert _numbers() == [0, 1]


def test_many_writers_at_once_make_one_row_of_numbers(tenant, clock, entropy) -> None:
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


def test_what_is_forgotten_keeps_its_leaf(tenant, clock, entropy) -> None:
    with writing():
        for each in ("r1", "r2"):
            append(tenant, "recording.stored", {"recording": each}, clock(), entropy, recording=each)
        before = [entry.leaf_hash for entry in LeafTable.select().order_by(LeafTable.number)]
        assert drop_bodies(tenant, "r1") == [1]
        assert drop_bodies("somebody else", "r2") == []
    assert [entry.leaf_hash for entry in _entries()] == before
    assert [(entry.body is None, entry.salt is None) for entry in _entries()] == [
        (False, False),
        (True, True),
        (False, False),
    ]


def test_a_leaf_goes_with_what_its_body_speaks_of_and_nothing_else(tenant, clock, entropy) -> None:
    """Whatever its row says: bodies that are no bodies any more stay, too."""
    said = {"recording": "r2"}
    with writing():
        append(tenant, "recording.stored", said, clock(), entropy, recording="r2")
        append(tenant, "session.refused", {"user": "u"}, clock(), entropy)
        append(tenant, "recording.stored", {"recording": "r1"}, clock(), entropy, recording="r1")
        LeafTable.update(recording_id="r1").execute()
        LeafTable.update(body="[]").where(LeafTable.number == 0).execute()
        assert drop_bodies(tenant, "r1") == [3]
    assert [entry.body is None for entry in _entries()] == [False, False, False, True]


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
def test_a_leaf_that_would_go_with_something_else_is_not_written(
    tenant, clock, entropy, kind: str, body: dict[str, object], recording: str | None
) -> None:
    with pytest.raises(ValueError, match="does not go with"), writing():
        append(tenant, kind, body, clock(), entropy, recording=recording)
    assert _numbers() == [0]


def _entries() -> list[LeafTable]:
    with connected():
        return list(LeafTable.select().order_by(LeafTable.number))


def _numbers() -> list[int]:
    with connected():
        return [entry.number for entry in LeafTable.select().order_by(LeafTable.number)]


def test_nobody_waits_for_a_tenant_that_is_none(tenant) -> None:
    with writing():
        lock_tenant(tenant)
        with pytest.raises(CatalogueError) as refused:
            lock_tenant("01930000-0000-7000-8000-0000000000ff")
    assert refused.value.error_id == "tenant.unknown"
