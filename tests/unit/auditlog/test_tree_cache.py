"""The tree from cached hashes is the tree over the leaves, and missing rows are an error."""

from __future__ import annotations

import pytest

from recorder import merkle
from recorder.auditlog import tree_cache
from recorder.auditlog.append import append_all
from recorder.auditlog.tree_cache import CachedTree
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable, SubtreeTable
from recorder.errors import CatalogueError
from recorder.merkle import GrowingTree, check_consistency, check_inclusion
from tests.expected_errors import expect_error

SIZE = 71


@pytest.fixture
def leaves(tenant, clock, entropy, monkeypatch) -> list[bytes]:
    """The hashes of a log of :data:`SIZE` leaves, with cached hashes of every 4, 16 and 64 of them."""
    for module in (merkle, tree_cache):
        monkeypatch.setattr(module, "WIDTH", 4)
        monkeypatch.setattr(module, "HEIGHT", 2)
    monkeypatch.setattr(tree_cache, "BATCH", 2)
    with writing():
        append_all(tenant, "x", [({"n": number}, None) for number in range(SIZE - 1)], clock(), entropy)
    with connected():
        rows = list(LeafTable.select().order_by(LeafTable.number))
    assert len(rows) == SIZE
    return [bytes.fromhex(row.leaf_hash) for row in rows]


def root_of(leaves: list[bytes]) -> bytes:
    tree = GrowingTree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def cached(level: int) -> list[tuple[int, str]]:
    with connected():
        rows = SubtreeTable.select().where(SubtreeTable.level == level).order_by(SubtreeTable.number)
        return [(row.number, row.hash) for row in rows]


def test_root_and_paths_match_the_leaves(tenant, leaves) -> None:
    tree = CachedTree(tenant)
    assert (tree.size, tree.root()) == (SIZE, root_of(leaves))
    for size in (1, 3, 4, 5, 16, 17, 64, 70, SIZE):
        part = CachedTree(tenant, size)
        assert (part.size, part.root()) == (size, root_of(leaves[:size]))
        path = merkle.consistency(size, SIZE, tree)
        assert check_consistency(size, SIZE, path, part.root(), tree.root())
    for number in range(SIZE):
        path = merkle.inclusion(number, SIZE, tree)
        assert check_inclusion(leaves[number], number, SIZE, path, tree.root())


def test_complete_subtrees_are_cached_once_as_the_log_grows(tenant, leaves, clock, entropy) -> None:
    CachedTree(tenant, 15)
    assert [number for number, _ in cached(1)] == [0, 1, 2]
    assert cached(2) == []
    CachedTree(tenant)
    assert [number for number, _ in cached(1)] == list(range(17))
    assert [number for number, _ in cached(2)] == [0, 1, 2, 3]
    assert cached(3) == [(0, root_of(leaves[:64]).hex())]
    assert cached(4) == []
    for level in (1, 2, 3):
        for number, digest in cached(level):
            assert digest == root_of(leaves[number * 4**level : (number + 1) * 4**level]).hex()
    with writing():
        append_all(tenant, "x", [({}, None)], clock(), entropy)
    CachedTree(tenant)
    assert [number for number, _ in cached(1)] == list(range(18))


def test_hashes_are_read_once(tenant, leaves) -> None:
    tree = CachedTree(tenant)
    root = tree.root()
    with writing():
        LeafTable.update(leaf_hash="00" * 32).execute()
        SubtreeTable.update(hash="00" * 32).execute()
    assert tree.root() == root


def test_tree_of_more_leaves_than_the_log_has_is_refused(tenant, leaves) -> None:
    assert CachedTree(tenant, SIZE).size == SIZE
    with expect_error(CatalogueError, "audit_log.short"):
        CachedTree(tenant, SIZE + 1)
    with expect_error(CatalogueError, "tenant.unknown"):
        CachedTree("nobody")


def test_missing_leaf_is_a_gap(tenant, leaves) -> None:
    with writing():
        LeafTable.delete().where(LeafTable.number == 5).execute()
    with pytest.raises(CatalogueError, match="between leaf 4 and 7") as failure:
        CachedTree(tenant)
    assert failure.value.error_id == "audit_log.gap"


def test_missing_cached_hash_is_a_gap(tenant, leaves) -> None:
    tree = CachedTree(tenant)
    with writing():
        SubtreeTable.delete().where((SubtreeTable.level == 1) & (SubtreeTable.number == 1)).execute()
    with pytest.raises(CatalogueError, match="between leaf 0 and 15") as failure:
        merkle.inclusion(9, SIZE, tree)
    assert failure.value.error_id == "audit_log.gap"
