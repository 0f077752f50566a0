"""Audits a tenant's leaves in one pass: each is read once, in order, and its body is passed on.

There may be millions of leaves, and nearly all are as they were written, so they are checked in one tight
loop (:meth:`LeafAudit._usual`). The first one that differs ends the loop and is examined separately
(:meth:`LeafAudit._leaf`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import rfc8785

from recorder import merkle
from recorder.audit.findings import AuditFinding
from recorder.audit.lost_bodies import ERASURES, LostBodies, SignedErasures
from recorder.auditlog.append import (
    AMENDED,
    FORMAT,
    OWNER_FIELDS,
    REBUILT,
    commitment,
    leaf_text,
    owning_recording,
)
from recorder.catalogue.database import database
from recorder.catalogue.tables.audit_log import LeafTable, SubtreeTable
from recorder.merkle import HEIGHT

PAGE = 4000

LEVELS = 64
"""No log is so large that it has hashes at a higher level."""

_NEITHER = (False, "")

BodyReader = Callable[[int, str, Mapping[str, Any], str], None]
"""Called with each body that matches its leaf's commitment: number, kind, body, and the leaf's time."""


@dataclass(slots=True)
class LeafAudit:
    """One tenant's pass. ``sizes``: of the trees whose roots are needed, which are then in ``roots``,
    unless an earlier leaf is missing. Bodies of ``kinds`` are passed to ``reader``."""

    tenant: str
    sizes: frozenset[int]
    reader: BodyReader
    kinds: frozenset[str]
    roots: dict[int, bytes] = field(default_factory=dict)
    count: int = 0
    _tree: merkle.GrowingTree = field(default_factory=merkle.GrowingTree)
    _whole: bool = True
    _lost_bodies: LostBodies = field(default_factory=LostBodies)
    _ways: dict[str, tuple[bool, str]] = field(init=False)
    """By kind: whether its bodies are read, and the JSON that precedes the owning recording's id, if any."""

    def __post_init__(self) -> None:
        read = self.kinds | ERASURES
        names = {
            kind: f'"{OWNER_FIELDS[kind]}":"' if kind in OWNER_FIELDS else ""
            for kind in {*read, *OWNER_FIELDS}
        }
        self._ways = {kind: (kind in read, name) for kind, name in names.items()}

    def read(self, tell: Callable[[int], None]) -> Iterator[AuditFinding]:
        """Check every leaf, inside the caller's snapshot; ``tell`` is called with the number so far."""
        self._ask()
        count, rows, page = 0, self._page(0), 0
        while True:
            usual, row = self._usual(rows, count)
            count, page = count + usual, page + usual
            if row is None and page:
                tell(count)
                rows, page = self._page(count), 0
            elif row is None:
                break
            elif type(row[0]) is not int:  # SQLite stores whatever type it is given
                yield self._found("leaf.changed", count, f"a leaf has the number {row[0]!r:.40}")
                break
            else:
                yield from self._readable(row, count)
                count, page = row[0] + 1, page + 1
        self.count = count

    def lost_bodies(self, signed: SignedErasures) -> Iterator[AuditFinding]:
        """Check that only bodies are missing that a signed erasure covers, after :meth:`read`."""
        for number, what in self._lost_bodies.unexcused(signed):
            yield self._found("body.missing", number, what)

    @property
    def erased(self) -> frozenset[str]:
        """Recordings whose erasure is in the log."""
        return frozenset(self._lost_bodies.erased)

    @property
    def without_body(self) -> frozenset[str]:
        """Recordings and unrecorded calls with leaves that lost their bodies."""
        return frozenset(each for _, each in self._lost_bodies.leaves.values() if each is not None)

    @property
    def amended(self) -> Mapping[str, int]:
        """The number of amendment leaves without a body, by recording."""
        return Counter(
            each for kind, each in self._lost_bodies.leaves.values() if kind == AMENDED and each is not None
        )

    def _page(self, first: int) -> Iterator[tuple[Any, ...]]:
        """Rows from a leaf on, fetched one at a time: a list of them would not fit the processor's cache."""
        each = LeafTable
        query = each.select(
            each.number,
            each.kind,
            each.at,
            each.recording_id,
            each.body,
            each.salt,
            each.leaf,
            each.leaf_hash,
        ).where((each.tenant == self.tenant) & (each.number >= first))
        # Raw values: the time is compared with the leaf's as text.
        return iter(database.execute(query.order_by(each.number).limit(PAGE)))

    def _usual(self, rows: Iterator[tuple[Any, ...]], expected: int) -> tuple[int, tuple[Any, ...] | None]:
        """Check leaves while each is the next one and exactly as :func:`recorder.auditlog.append.append`
        writes it; returns the number of such leaves, and the first other row."""
        sha256, digest = hashlib.sha256, hmac.digest
        form, end = f'","format":{FORMAT},"kind":"', f',"tenant":"{self.tenant}"}}'
        number, hashes, row, ways = expected, [], None, self._ways
        stop = number + self._most()
        try:
            for row in rows:
                found_number, kind, when, recording, body, salt, leaf, leaf_hash = row
                if found_number != number or type(found_number) is not int:
                    break
                found = sha256(b"\x00" + leaf.encode()).digest()
                commits = digest(salt, body.encode(), "sha256").hex()
                text = f'{{"at":"{when}","commitment":"{commits}{form}{kind}","number":{number}{end}'
                if leaf != text or found.hex() != leaf_hash:
                    break
                # Search for the owner as text: a body is canonical JSON, so no value in it contains an
                # unescaped quotation mark.
                is_read, name = ways.get(kind, _NEITHER)
                plainly = f'{name}{recording}"' in body if name else recording is None
                if (not plainly or kind == REBUILT) and recording != owning_recording(kind, json.loads(body)):
                    break
                if is_read:
                    self._read_body(number, kind, body, when)
                hashes.append(found)
                number += 1
                if number == stop:
                    self._grow(hashes)
                    hashes, stop = [], number + self._most()
            else:
                row = None
        except (TypeError, ValueError, AttributeError, KeyError):
            pass  # a tampered value, or an erased body
        self._grow(hashes)
        return number - expected, row

    def _readable(self, row: tuple[Any, ...], expected: int) -> Iterator[AuditFinding]:
        try:
            yield from list(self._leaf(row, expected))
        except (TypeError, ValueError, AttributeError, KeyError):
            self._whole = False
            yield self._found("leaf.changed", row[0], "it contains a value that Accord never writes")

    def _leaf(self, row: tuple[Any, ...], expected: int) -> Iterator[AuditFinding]:
        number, kind, at, recording, body, salt, leaf, leaf_hash = row
        if number != expected:
            self._whole = False
            one = number == expected + 1
            some = f"leaf {expected} was" if one else f"leaves {expected} to {number - 1} were"
            yield self._found("leaf.missing", expected, f"{some} deleted")
        found = merkle.hash_leaf(leaf.encode())
        if body is None and salt is None:
            self._lost_bodies.leaves[number] = (kind, recording)
            commits = _stated_commitment(leaf)
        elif body is None or salt is None:
            yield self._found("body.missing", number, f"its {'body' if body is None else 'salt'} is missing")
            commits = _stated_commitment(leaf)
        else:
            commits = commitment(bytes(salt), body.encode())
        if leaf_text(self.tenant, number, kind, at, commits) != leaf or found.hex() != leaf_hash:
            wrong = list(self._differences(row, commits, found.hex()))
            yield from wrong
            if any(each.code == "leaf.changed" for each in wrong):
                found = _bytes(leaf_hash, found)
        elif body is not None and salt is not None:
            if recording != (own := owning_recording(kind, json.loads(body))):
                what = f"recording {own}" if own else "no recording"
                yield self._found(
                    "leaf.row_differs", number, f"it belongs to {what}, but its row names another"
                )
            self._read_body(number, kind, body, at)
        self._grow([found])

    def _differences(self, row: tuple[Any, ...], commits: str, found: str) -> Iterator[AuditFinding]:
        number, kind, at, _, body, salt, leaf, leaf_hash = row
        own = {"format": FORMAT, "tenant": self.tenant, "number": number, "at": at, "kind": kind}
        parsed = _object(leaf)
        canonical = parsed is not None and rfc8785.dumps(parsed).decode() == leaf
        if parsed is None or not canonical or {*parsed} != {*own, "commitment"}:
            yield self._found("leaf.changed", number, "it does not have the form of a leaf")
            return
        others = [name for name, value in own.items() if parsed[name] != value]
        body_differs = body is not None and salt is not None and parsed["commitment"] != commits
        if found != leaf_hash:
            code = "leaf.changed" if others or body_differs else "leaf.hash"
            what = (
                f"in {', '.join(others)}"
                if others
                else "in its commitment"
                if body_differs
                else "in its hash"
            )
            yield self._found(code, number, f"it does not match the hash from when it was written ({what})")
            return
        if others:
            yield self._found("leaf.row_differs", number, f"the row differs: {', '.join(others)}")
        if body_differs:
            yield self._found("body.changed", number, "body and salt do not match the leaf's commitment")

    def _read_body(self, number: int, kind: str, body: str, at: str) -> None:
        parsed = json.loads(body)
        if kind in ERASURES:
            self._lost_bodies.collect(kind, parsed)
        self.reader(number, kind, parsed, at)

    def _grow(self, hashes: list[bytes]) -> None:
        if hashes and self._whole:
            self._tree.extend(hashes)
            self._ask()

    def _most(self) -> int:
        """The number of leaves that can be added before the next wanted size or full row."""
        size = self._tree.size
        return min([self._tree.room(), *(each - size for each in self.sizes if each > size)])

    def _ask(self) -> None:
        if self._tree.size in self.sizes:
            self.roots[self._tree.size] = self._tree.root()

    def subtrees(self) -> Iterator[AuditFinding]:
        """Compare the cached hashes with the leaves, after :meth:`read`."""
        query = SubtreeTable.select(
            SubtreeTable.level, SubtreeTable.number, SubtreeTable.hash, SubtreeTable.id
        )
        rows = database.execute(query.where(SubtreeTable.tenant_id == self.tenant)).fetchall()
        expected = dict.fromkeys((level for level, _, _, _ in rows), 0)
        for level, number, cached, identity in sorted(rows):
            found = self._tree.complete.get((level, number))
            if (found is None and self._whole) or identity != f"{self.tenant}/{level}/{number}":
                yield self._subtree(level, number, "a hash is cached, but the subtree is not complete")
            elif found is not None and found.hex() != cached:
                yield self._subtree(level, number, "the cached hash does not match the leaves")
            if number > expected[level]:  # they are created in order
                yield self._subtree(level, expected[level], "the cached hash was deleted")
            expected[level] = number + 1

    def _subtree(self, level: int, number: int, what: str) -> AuditFinding:
        if not 0 <= level <= LEVELS:
            return AuditFinding("subtree.changed", f"{self.tenant}: level {level}", what)
        first, last = number << (HEIGHT * level), ((number + 1) << (HEIGHT * level)) - 1
        return AuditFinding("subtree.changed", f"{self.tenant}: leaves {first} to {last}", what)

    def _found(self, code: str, number: int, message: str) -> AuditFinding:
        return AuditFinding(code, f"{self.tenant}: leaf {number}", message)


def _object(leaf: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(leaf)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _stated_commitment(leaf: str) -> str:
    parsed = _object(leaf)
    return str(parsed.get("commitment")) if parsed else ""


def _bytes(text: str, otherwise: bytes) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return otherwise
