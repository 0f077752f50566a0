"""The Merkle tree over leaves (RFC 6962, section 2.1), such as a log's, and the verification of its proofs
(RFC 9162).

The caller provides the hash of each *complete* subtree (of 2^height leaves, at a multiple of that); every
other hash is computed from at most a few dozen of those. Hashes are the 32 bytes of SHA-256; leaves are
counted from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""

Hash = bytes

HEIGHT = 8
WIDTH = 1 << HEIGHT
"""Number of adjacent hashes whose common ancestor is kept."""


class Subtrees(Protocol):
    """Provides the hash of every complete subtree of a log."""

    def __call__(self, height: int, index: int) -> Hash:
        """The hash of leaves ``index * 2**height`` up to ``(index + 1) * 2**height``, all of which exist."""


def hash_leaf(leaf: bytes) -> Hash:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def hash_node(left: Hash, right: Hash) -> Hash:
    """The hash of a node above two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class GrowingTree:
    """The tree of a log that is read from its beginning. For each level it keeps the hashes of the incomplete
    row of up to :data:`WIDTH`, and in ``complete`` the hash above each full row, by level and number."""

    def __init__(self) -> None:
        self.complete: dict[tuple[int, int], Hash] = {}
        self._rows: list[list[Hash]] = [[]]
        self._full: list[int] = [0]

    @property
    def size(self) -> int:
        """The number of leaves so far."""
        return self._full[0] * WIDTH + len(self._rows[0])

    def room(self) -> int:
        """How many leaves :meth:`extend` accepts at most."""
        return WIDTH - len(self._rows[0])

    def add(self, leaf: Hash) -> None:
        """Add the next leaf, by its hash."""
        self.extend([leaf])

    def extend(self, leaves: Sequence[Hash]) -> None:
        """Add the next leaves, at most :meth:`room`, by their hashes."""
        self._rows[0] += leaves
        level = 0
        while len(row := self._rows[level]) == WIDTH:
            above = perfect(row)
            row.clear()
            self.complete[level + 1, self._full[level]] = above
            self._full[level] += 1
            level += 1
            if len(self._rows) == level:
                self._rows.append([])
                self._full.append(0)
            self._rows[level].append(above)

    def root(self) -> Hash:
        """The root over everything added so far."""
        parts: list[Hash] = []
        for row in reversed(self._rows):
            at = 0
            for height in reversed(range(len(row).bit_length())):
                if len(row) & (1 << height):
                    parts.append(perfect(row[at : at + (1 << height)]))
                    at += 1 << height
        return _folded(parts)


def root(size: int, subtrees: Subtrees) -> Hash:
    """The root of a log's first ``size`` leaves."""
    return _range(0, size, subtrees)


def perfect(hashes: Sequence[Hash]) -> Hash:
    """The hash above a power of two of hashes of equal height."""
    row, sha256 = list(hashes), hashlib.sha256
    while len(row) > 1:  # not by hash_node: a million calls would dominate the cost
        row = [
            sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)
        ]
    return row[0]


def inclusion(number: int, size: int, subtrees: Subtrees) -> list[Hash]:
    """The audit path of a leaf in the tree of the first ``size`` leaves (RFC 6962, section 2.1.1). Raises
    ``ValueError`` if the leaf is not among them."""
    if not 0 <= number < size:
        raise ValueError(f"leaf {number} is not among the first {size}")
    path: list[Hash] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if number < middle:
            path.append(_range(middle, end, subtrees))
            end = middle
        else:
            path.append(_range(begin, middle, subtrees))
            begin = middle
    return path[::-1]


def consistency(old: int, size: int, subtrees: Subtrees) -> list[Hash]:
    """The proof that the tree of the first ``size`` leaves continues that of the first ``old`` ones (RFC
    6962, section 2.1.2); empty if both are equal, or ``old`` is 0. Raises ``ValueError``."""
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} leaves does not continue one of {old}")
    path: list[Hash] = []
    if old in (0, size):
        return path
    begin, end, whole = 0, size, True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_range(middle, end, subtrees))
            end = middle
        else:
            path.append(_range(begin, middle, subtrees))
            begin, whole = middle, False
    # The verifier knows the old tree's root, but not its parts.
    if not whole:
        path.append(_range(begin, end, subtrees))
    return path[::-1]


def range_proof(begin: int, end: int, size: int, subtrees: Subtrees) -> list[Hash]:
    """What proves leaves ``begin`` up to, not including, ``end`` together: the hash of each of the tree's
    subtrees that has none of them, while its parent has some, from left to right. For one leaf, these are
    the hashes of its audit path. Raises ``ValueError`` if the range is empty or not among the first ``size``
    leaves."""
    if not 0 <= begin < end <= size:
        raise ValueError(f"leaves {begin} to {end} are not among the first {size}")
    return [_range(first, last, subtrees) for first, last in _outside(0, size, begin, end)]


def check_range(begin: int, leaves: Sequence[Hash], size: int, path: Sequence[Hash], root: Hash) -> bool:
    """Whether :func:`range_proof` proves that these leaves, and no others between them, are the ones from
    ``begin`` on. ``size`` has to be known to be the tree's: another one may have the same root."""
    end = begin + len(leaves)
    if not 0 <= begin < end <= size or len(path) != sum(1 for _ in _outside(0, size, begin, end)):
        return False
    hashes = iter(path)

    def hash_of(first: int, last: int) -> Hash:
        if last <= begin or end <= first:
            return next(hashes)
        if last - first == 1:
            return leaves[first - begin]
        middle = first + _split(last - first)
        return hash_node(hash_of(first, middle), hash_of(middle, last))

    return hash_of(0, size) == root


def check_inclusion(leaf: Hash, number: int, size: int, path: Sequence[Hash], root: Hash) -> bool:
    """Whether an audit path proves that a leaf has this number (RFC 9162, section 2.1.3.2)."""
    if not 0 <= number < size:
        return False
    at, last, found = number, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = hash_node(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = hash_node(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def check_consistency(old: int, size: int, path: Sequence[Hash], old_root: Hash, root: Hash) -> bool:
    """Whether a path proves that one tree continues another (RFC 9162, section 2.1.4.2)."""
    if not 0 <= old <= size:
        return False
    if old == size or old == 0:
        return not path and (old_root == root if old else old_root == EMPTY)
    rest = list(path)
    if old & (old - 1) == 0:
        rest.insert(0, old_root)
    if not rest:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    found_old = found = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            found_old, found = hash_node(sibling, found_old), hash_node(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = hash_node(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found_old == old_root and found == root


def _split(count: int) -> int:
    """The largest power of two smaller than a number of leaves above 1."""
    return 1 << ((count - 1).bit_length() - 1)


def _outside(first: int, last: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The largest subtrees of the tree over leaves ``first`` up to ``last`` that have no leaf from ``begin``
    up to ``end``, from left to right."""
    if last <= begin or end <= first:
        yield first, last
    elif first < begin or end < last:
        middle = first + _split(last - first)
        yield from _outside(first, middle, begin, end)
        yield from _outside(middle, last, begin, end)


def _range(begin: int, end: int, subtrees: Subtrees) -> Hash:
    """The hash over leaves ``begin`` up to ``end``, where ``begin`` is a multiple of the largest power of two
    that fits, so it is in every split."""
    parts: list[Hash] = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        parts.append(subtrees(height, begin >> height))
        begin += 1 << height
    return _folded(parts)


def _folded(parts: Iterable[Hash]) -> Hash:
    """The hash above adjacent complete subtrees, the largest first."""
    found: Hash | None = None
    for part in reversed(list(parts)):
        found = part if found is None else hash_node(part, found)
    return EMPTY if found is None else found
