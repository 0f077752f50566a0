"""The tree against RFC 6962's definition, transcribed literally, and against the test vectors of Certificate
Transparency's own implementation."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import merkle
from recorder.merkle import GrowingTree, check_consistency, check_inclusion, check_range, hash_leaf

LEAVES = [
    bytes.fromhex(each)
    for each in "- 00 10 2021 3031 40414243 5051525354555657 606162636465666768696a6b6c6d6e6f".replace(
        "-", ""
    ).split(" ")
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""Of the first 1 to 8 leaves."""

PATHS = {
    (0, 8): ("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"),
    (5, 8): ("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): ("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"),
}  # fmt: skip
CONSISTENT = {
    (1, 8): ("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"),
    (6, 8): ("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    (2, 5): ("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"),
}  # fmt: skip


class Obvious:
    """RFC 6962, section 2.1, as it is written."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves

    def root(self, leaves: list[bytes]) -> bytes:
        if not leaves:
            return hashlib.sha256(b"").digest()
        if len(leaves) == 1:
            return hashlib.sha256(b"\x00" + leaves[0]).digest()
        k = self._k(len(leaves))
        return hashlib.sha256(b"\x01" + self.root(leaves[:k]) + self.root(leaves[k:])).digest()

    def path(self, m: int, leaves: list[bytes]) -> list[bytes]:
        if len(leaves) == 1:
            return []
        k = self._k(len(leaves))
        if m < k:
            return [*self.path(m, leaves[:k]), self.root(leaves[k:])]
        return [*self.path(m - k, leaves[k:]), self.root(leaves[:k])]

    def proof(self, m: int, leaves: list[bytes], b: bool = True) -> list[bytes]:
        if m == len(leaves):
            return [] if b else [self.root(leaves)]
        k = self._k(len(leaves))
        if m <= k:
            return [*self.proof(m, leaves[:k], b), self.root(leaves[k:])]
        return [*self.proof(m - k, leaves[k:], False), self.root(leaves[:k])]

    def __call__(self, height: int, index: int) -> bytes:
        assert (index + 1) << height <= len(self.leaves), "only complete subtrees are asked for"
        return self.root(self.leaves[index << height : (index + 1) << height])

    @staticmethod
    def _k(n: int) -> int:
        k = 1
        while k * 2 < n:
            k *= 2
        return k


def test_roots_match_certificate_transparency() -> None:
    known, tree = Obvious(LEAVES), GrowingTree()
    assert tree.root() == merkle.root(0, known) == merkle.EMPTY
    for size, expected in enumerate(ROOTS, 1):
        tree.add(hash_leaf(LEAVES[size - 1]))
        assert tree.root().hex() == merkle.root(size, known).hex() == expected


def test_paths_match_certificate_transparency() -> None:
    known = Obvious(LEAVES)
    for (number, size), path in PATHS.items():
        assert tuple(each.hex() for each in merkle.inclusion(number, size, known)) == path
    for (old, size), path in CONSISTENT.items():
        assert tuple(each.hex() for each in merkle.consistency(old, size, known)) == path


def test_every_path_in_small_trees_matches_the_definition() -> None:
    leaves = [bytes([each]) for each in range(20)]
    known = Obvious(leaves)
    for size in range(1, 21):
        root = known.root(leaves[:size])
        assert merkle.root(size, known) == root
        for number in range(size):
            path = merkle.inclusion(number, size, known)
            assert path == known.path(number, leaves[:size])
            assert check_inclusion(hash_leaf(leaves[number]), number, size, path, root)
        for old in range(1, size + 1):
            path = merkle.consistency(old, size, known)
            assert path == known.proof(old, leaves[:size])
            assert check_consistency(old, size, path, known.root(leaves[:old]), root)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_wrong_path_does_not_verify(data: st.DataObject) -> None:
    leaves = data.draw(st.lists(st.binary(max_size=3), min_size=2, max_size=60))
    known, size = Obvious(leaves), len(leaves)
    number = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    root, old_root = known.root(leaves), known.root(leaves[:old])
    path, way = merkle.inclusion(number, size, known), merkle.consistency(old, size, known)
    assert path == known.path(number, leaves)
    assert way == known.proof(old, leaves)
    leaf = hash_leaf(leaves[number])
    assert check_inclusion(leaf, number, size, path, root)
    assert check_consistency(old, size, way, old_root, root)
    wrong = bytes(32)
    assert not check_inclusion(wrong, number, size, path, root)
    assert not check_inclusion(leaf, number, size, path, wrong)
    assert not check_inclusion(leaf, number, size, [*path, wrong], root)
    assert not check_inclusion(leaf, number, size, path[:-1], root)
    assert not check_inclusion(leaf, size, size, path, root)
    assert not check_consistency(old, size, way, wrong, root)
    assert not check_consistency(old, size, way, old_root, wrong)
    assert not check_consistency(old, size, [*way, wrong], old_root, root)
    for at in range(len(path)):
        assert not check_inclusion(leaf, number, size, [*path[:at], wrong, *path[at + 1 :]], root)
    for at in range(len(way)):
        assert not check_consistency(old, size, [*way[:at], wrong, *way[at + 1 :]], old_root, root)
    assert not (way and check_consistency(old, size, way[:-1], old_root, root))


def test_every_range_in_small_trees_is_proved() -> None:
    leaves = [bytes([each]) for each in range(20)]
    known, hashes = Obvious(leaves), [hash_leaf(each) for each in leaves]
    for size in range(1, 21):
        root = known.root(leaves[:size])
        for begin in range(size):
            assert sorted(merkle.range_proof(begin, begin + 1, size, known)) == sorted(
                merkle.inclusion(begin, size, known)
            )
            for end in range(begin + 1, size + 1):
                path = merkle.range_proof(begin, end, size, known)
                assert len(path) <= 2 * size.bit_length()
                assert check_range(begin, hashes[begin:end], size, path, root)
        assert merkle.range_proof(0, size, size, known) == []


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_wrong_range_does_not_verify(data: st.DataObject) -> None:
    leaves = data.draw(st.lists(st.binary(max_size=3), min_size=2, max_size=60, unique=True))
    known, hashes, size = Obvious(leaves), [hash_leaf(each) for each in leaves], len(leaves)
    begin = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(begin + 1, size))
    mine, root, wrong = hashes[begin:end], known.root(leaves), bytes(32)
    path = merkle.range_proof(begin, end, size, known)
    assert check_range(begin, mine, size, path, root)
    for other in {*range(-1, size + 2)} - {begin}:
        assert not check_range(other, mine, size, path, root), "in another place"
    assert not check_range(begin, mine[:-1], size, path, root)
    assert not check_range(begin, [*mine, wrong], size, path, root)
    assert not check_range(begin, [], size, path, root)
    assert not check_range(begin, mine, size, path, wrong)
    assert not check_range(begin, mine, size, [*path, wrong], root)
    for at in range(len(path)):
        assert not check_range(begin, mine, size, [*path[:at], wrong, *path[at + 1 :]], root)
        assert not check_range(begin, mine, size, [*path[:at], *path[at + 1 :]], root)
    for at in range(len(mine)):
        assert not check_range(begin, [*mine[:at], wrong, *mine[at + 1 :]], size, path, root)
    if len(mine) > 1:
        assert not check_range(begin, [*mine[1:], mine[0]], size, path, root)
    for first, last in ((begin, begin), (end, begin), (-1, 1), (0, size + 1)):
        with pytest.raises(ValueError, match="are not among the first"):
            merkle.range_proof(first, last, size, known)


def test_growing_tree_keeps_the_hashes_above_full_rows() -> None:
    leaves = [bytes([number % 251]) for number in range(3 * merkle.WIDTH + 5)]
    known, tree = Obvious(leaves), GrowingTree()
    for begin in range(0, len(leaves), merkle.WIDTH):
        assert tree.room() == merkle.WIDTH
        tree.extend([hash_leaf(leaf) for leaf in leaves[begin : begin + merkle.WIDTH]])
    assert tree.size == len(leaves)
    assert tree.room() == merkle.WIDTH - 5
    assert tree.root() == merkle.root(len(leaves), known)
    expected = {(1, number): known(merkle.HEIGHT, number) for number in range(3)}
    assert tree.complete == expected


def test_growing_tree_has_several_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merkle, "WIDTH", 4)
    leaves = [bytes([number]) for number in range(75)]
    known, tree = Obvious(leaves), GrowingTree()
    for size, leaf in enumerate(leaves, 1):
        tree.add(hash_leaf(leaf))
        assert (tree.size, tree.root()) == (size, known.root(leaves[:size]))
    counts = {1: 18, 2: 4, 3: 1}
    expected = {
        (level, number): known(2 * level, number)
        for level, count in counts.items()
        for number in range(count)
    }
    assert tree.complete == expected


def test_leaf_outside_the_tree_has_no_path() -> None:
    known = Obvious(LEAVES)
    for number, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(ValueError, match="not among the first"):
            merkle.inclusion(number, size, known)
    for old in (9, -1):
        with pytest.raises(ValueError, match="does not continue"):
            merkle.consistency(old, 8, known)
        assert not check_consistency(old, 8, [], known.root(LEAVES), known.root(LEAVES))
    assert not check_inclusion(hash_leaf(LEAVES[7]), -1, 8, merkle.inclusion(7, 8, known), known.root(LEAVES))
    assert not check_inclusion(known.root(LEAVES), 8, 8, [], known.root(LEAVES))
    assert merkle.consistency(0, 8, known) == [] == merkle.consistency(8, 8, known)
    assert check_consistency(0, 8, [], merkle.EMPTY, bytes(32))
    assert not check_consistency(0, 8, [], bytes(32), bytes(32))
    assert not check_consistency(0, 8, [bytes(32)], merkle.EMPTY, bytes(32))
    assert check_consistency(8, 8, [], bytes(32), bytes(32))
    assert not check_consistency(8, 8, [bytes(32)], bytes(32), bytes(32))
    assert not check_consistency(3, 8, [], bytes(32), bytes(32))
