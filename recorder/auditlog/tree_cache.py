"""A tenant's Merkle tree, from the catalogue.

The hashes of complete subtrees of 256, 256², … leaves are cached, so a path through a million leaves reads a
few hundred rows. They are computed on demand, not on append, so appending stays cheap. An audit does not
trust the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from recorder import merkle
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable, SubtreeTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.catalogue.tenant_queries import unknown_tenant
from recorder.errors import CatalogueError
from recorder.merkle import HEIGHT, WIDTH, Hash

BATCH = 64
"""Hashes per transaction."""


class CachedTree:
    """The tree over the first ``size`` leaves of a tenant's log (default: all). It keeps the hashes that it
    has read."""

    def __init__(self, tenant: str, size: int | None = None) -> None:
        """Raises :class:`CatalogueError` (``tenant.unknown``, ``audit_log.short``)."""
        self.tenant = tenant
        self._read: dict[tuple[int, int], list[Hash]] = {}
        there = _size(tenant)
        if size is not None and size > there:
            raise CatalogueError(
                "audit_log.short",
                f"the log of {tenant} has {there} leaves, not {size}",
                "run `accord audit run`",
            )
        self.size = there if size is None else size
        self._grow()

    def __call__(self, height: int, index: int) -> Hash:
        """See :class:`merkle.Subtrees`. Raises :class:`CatalogueError` (``audit_log.gap``)."""
        level, above = divmod(height, HEIGHT)
        first, count = index << above, 1 << above
        row = self._row(level, first >> HEIGHT)
        begin = first % WIDTH
        return merkle.perfect(row[begin : begin + count])

    def root(self) -> Hash:
        """The tree's root."""
        return merkle.root(self.size, self)

    def _grow(self) -> None:
        """Cache the hashes of newly completed subtrees."""
        level, complete = 1, self.size >> HEIGHT
        while complete:
            mine = (SubtreeTable.tenant_id == self.tenant) & (SubtreeTable.level == level)
            with connected():
                there = (
                    SubtreeTable.select(SubtreeTable.number)
                    .where(mine)
                    .order_by(SubtreeTable.number.desc())
                    .limit(1)
                )
                last = there.scalar()
            begin = 0 if last is None else int(last) + 1
            for numbers in _some(range(begin, complete)):
                self._write(level, numbers)
            level, complete = level + 1, complete >> HEIGHT

    def _write(self, level: int, numbers: tuple[int, ...]) -> None:
        rows = [
            {
                "id": f"{self.tenant}/{level}/{number}",
                "tenant_id": self.tenant,
                "level": level,
                "number": number,
                "hash": merkle.perfect(self._whole(level - 1, number, WIDTH)).hex(),
            }
            for number in numbers
        ]
        with writing():
            # Another worker may have written the same hashes.
            SubtreeTable.insert_many(rows).on_conflict_ignore().execute()

    def _row(self, level: int, number: int) -> list[Hash]:
        """Up to 256 adjacent hashes of a level."""
        key = (level, number)
        if key not in self._read:
            self._read[key] = self._whole(
                level, number, min(WIDTH, (self.size >> HEIGHT * level) - number * WIDTH)
            )
        return self._read[key]

    def _whole(self, level: int, number: int, count: int) -> list[Hash]:
        begin, end = number * WIDTH, number * WIDTH + count
        with connected():
            found = self._leaves(begin, end) if level == 0 else self._subtrees(level, begin, end)
        if len(found) != count:
            raise CatalogueError(
                "audit_log.gap",
                f"the log of {self.tenant} is incomplete between leaf {begin << HEIGHT * level} and "
                f"{(begin + count << HEIGHT * level) - 1}",
                "rows were deleted or changed: run `accord audit run` to list them",
            )
        return found

    def _leaves(self, begin: int, end: int) -> list[Hash]:
        each = LeafTable
        mine = (each.tenant == self.tenant) & (each.number >= begin) & (each.number < end)
        return [
            bytes.fromhex(row.leaf_hash)
            for row in each.select(each.leaf_hash).where(mine).order_by(each.number)
        ]

    def _subtrees(self, level: int, begin: int, end: int) -> list[Hash]:
        each = SubtreeTable
        mine = (each.tenant_id == self.tenant) & (each.level == level)
        mine &= (each.number >= begin) & (each.number < end)
        return [bytes.fromhex(row.hash) for row in each.select(each.hash).where(mine).order_by(each.number)]


def _size(tenant: str) -> int:
    with connected():
        size = TenantTable.select(TenantTable.log_size).where(TenantTable.id == tenant).scalar()
    if size is None:
        raise unknown_tenant(tenant)
    return int(size)


def _some(numbers: range) -> Iterator[tuple[int, ...]]:
    rest = iter(numbers)
    while some := tuple(islice(rest, BATCH)):
        yield some
