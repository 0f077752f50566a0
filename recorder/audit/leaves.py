"""An audit's pass over a tenant's leaves: each is read once, in order, and nothing is kept but what rows must
therefore say.

Nearly all leaves are exactly as they were written, and there may be millions, so they are checked in one loop
without a call each (:meth:`Leaves._usual`). The first one that is not leaves the loop and is examined
separately (:meth:`Leaves._leaf`).
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

from recorder.audit.findings import AuditFinding
from recorder.auditlog import merkle
from recorder.auditlog.append import (
    AMENDED,
    FORMAT,
    GOES_WITH,
    REBUILT,
    commitment,
    goes_with,
    leaf_text,
)
from recorder.auditlog.merkle import HEIGHT
from recorder.catalogue.database import database
from recorder.catalogue.tables.audit_log import LeafTable, SubtreeTable
from recorder.lifecycle.statements import CALLS_FORGOTTEN

PAGE = 4000
DESTROYED = "recording.erased"
_OF_ITS_OWN = frozenset({DESTROYED, REBUILT, CALLS_FORGOTTEN})
"""Kinds that this pass reads in any case: they say which bodies may be missing."""

_NEITHER = (False, "")

Heard = Callable[[int, str, Mapping[str, Any], str], None]
"""Is given each body that matches its leaf's commitment: the leaf's number, its kind, the body, and the time
in the leaf."""


@dataclass(slots=True)
class Leaves:
    """One tenant's pass. ``wanted`` are the sizes whose roots are needed; afterwards they are in ``roots``,
    unless an earlier leaf is missing. ``kinds`` are those whose bodies are passed to ``heard``."""

    tenant: str
    wanted: frozenset[int]
    heard: Heard
    kinds: frozenset[str]
    roots: dict[int, bytes] = field(default_factory=dict)
    count: int = 0
    _growing: merkle.GrowingTree = field(default_factory=merkle.GrowingTree)
    _whole: bool = True
    _gone: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    _may_be_gone: dict[int, str] = field(default_factory=dict)
    _forgotten: set[int] = field(default_factory=set)
    _erased: set[str] = field(default_factory=set)
    _erased_before: set[str] = field(default_factory=set)
    _ways: dict[str, tuple[bool, str]] = field(init=False)
    """By kind: whether it is passed on, and how its bodies begin to name what they go with, if they do."""

    def __post_init__(self) -> None:
        heard = self.kinds | _OF_ITS_OWN
        names = {kind: f'"{GOES_WITH[kind]}":"' if kind in GOES_WITH else "" for kind in {*heard, *GOES_WITH}}
        self._ways = {kind: (kind in heard, name) for kind, name in names.items()}

    def read(self, tell: Callable[[int], None]) -> Iterator[AuditFinding]:
        """Read every leaf, inside the caller's snapshot; ``tell`` is given the number read so far."""
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
        yield from self._bodies()
        yield from self._subtrees()

    @property
    def erased(self) -> frozenset[str]:
        """Recordings that a leaf says were destroyed."""
        return frozenset(self._erased)

    @property
    def gone(self) -> frozenset[str]:
        """Recordings and unrecorded calls some of whose leaves have lost their body."""
        return frozenset(each for _, each in self._gone.values() if each is not None)

    @property
    def amended(self) -> Mapping[str, int]:
        """How many amendments were listed, by recording, among those whose leaves' bodies are gone."""
        return Counter(each for kind, each in self._gone.values() if kind == AMENDED and each is not None)

    def _page(self, first: int) -> Iterator[tuple[Any, ...]]:
        """The next rows from a leaf on, each fetched when needed: a list of them would not fit the
        processor's cache."""
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
        # As the database has them: a time is compared with the leaf's character by character.
        return iter(database.execute(query.order_by(each.number).limit(PAGE)))

    def _usual(self, rows: Iterator[tuple[Any, ...]], expected: int) -> tuple[int, tuple[Any, ...] | None]:
        """Check leaves as long as each is the next one and is exactly as
        :func:`recorder.auditlog.append.append` writes it; returns how many were, and the first that was not.
        """
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
                # Its owner, character by character: a body is canonical JSON, so no text in it can contain an
                # unescaped quotation mark.
                heard, name = ways.get(kind, _NEITHER)
                plainly = f'{name}{recording}"' in body if name else recording is None
                if (not plainly or kind == REBUILT) and recording != goes_with(kind, json.loads(body)):
                    break
                if heard:
                    self._hear(number, kind, body, when)
                hashes.append(found)
                number += 1
                if number == stop:
                    self._grow(hashes)
                    hashes, stop = [], number + self._most()
            else:
                row = None
        except (TypeError, ValueError, AttributeError, KeyError):
            pass  # something that is never written like this, or a body that is gone
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
            some = f"leaf {expected} is" if one else f"leaves {expected} to {number - 1} are"
            yield self._found("leaf.missing", expected, f"{some} not there: deleted")
        found = merkle.hash_leaf(leaf.encode())
        if body is None and salt is None:
            self._gone[number] = (kind, recording)
            commits = _said_commitment(leaf)
        elif body is None or salt is None:
            yield self._found("body.missing", number, f"its {'body' if body is None else 'salt'} is missing")
            commits = _said_commitment(leaf)
        else:
            commits = commitment(bytes(salt), body.encode())
        if leaf_text(self.tenant, number, kind, at, commits) != leaf or found.hex() != leaf_hash:
            wrong = list(self._differences(row, commits, found.hex()))
            yield from wrong
            if any(each.code == "leaf.changed" for each in wrong):
                found = _bytes(leaf_hash, found)
        elif body is not None and salt is not None:
            if recording != (own := goes_with(kind, json.loads(body))):
                what = f"recording {own}" if own else "no recording"
                yield self._found(
                    "leaf.row_differs", number, f"it belongs to {what}, but its row says otherwise"
                )
            self._hear(number, kind, body, at)
        self._grow([found])

    def _differences(self, row: tuple[Any, ...], commits: str, found: str) -> Iterator[AuditFinding]:
        number, kind, at, _, body, salt, leaf, leaf_hash = row
        own = {"format": FORMAT, "tenant": self.tenant, "number": number, "at": at, "kind": kind}
        said = _object(leaf)
        canonical = said is not None and rfc8785.dumps(said).decode() == leaf
        if said is None or not canonical or {*said} != {*own, "commitment"}:
            yield self._found("leaf.changed", number, "it does not have the form in which leaves are written")
            return
        others = [name for name, value in own.items() if said[name] != value]
        broken = body is not None and salt is not None and said["commitment"] != commits
        if found != leaf_hash:
            code = "leaf.changed" if others or broken else "leaf.hash"
            what = f"in {', '.join(others)}" if others else "in what it commits to" if broken else "its hash"
            yield self._found(code, number, f"it is not what was hashed when it was written ({what})")
            return
        if others:
            yield self._found("leaf.row_differs", number, f"the row differs: {', '.join(others)}")
        if broken:
            yield self._found("body.changed", number, "body and salt are not what the leaf committed to")

    def _hear(self, number: int, kind: str, body: str, at: str) -> None:
        said = json.loads(body)
        if kind == CALLS_FORGOTTEN:  # unrecorded calls
            self._forgotten.update(said["leaves"])
        recording = str(said.get("recording"))
        if kind == DESTROYED or (kind == REBUILT and said.get("erased") is True):
            self._erased.add(recording)
            for each in said.get("leaves", ()):
                self._may_be_gone[each] = recording
            if "leaves" not in said:  # an Accord of before did not name them
                self._erased_before.add(recording)
        self.heard(number, kind, said, at)

    def _grow(self, hashes: list[bytes]) -> None:
        if hashes and self._whole:
            self._growing.extend(hashes)
            self._ask()

    def _most(self) -> int:
        """How many leaves may be added before the tree is looked at again."""
        size = self._growing.size
        return min([self._growing.room(), *(each - size for each in self.wanted if each > size)])

    def _ask(self) -> None:
        if self._growing.size in self.wanted:
            self.roots[self._growing.size] = self._growing.root()

    def _bodies(self) -> Iterator[AuditFinding]:
        for number, (kind, recording) in self._gone.items():
            if kind not in GOES_WITH:
                what = f"its body and salt are missing, and {kind} is about no recording"
                yield self._found("body.missing", number, what)
                continue
            if number in self._forgotten:
                continue
            named = self._may_be_gone.get(number)
            if named is None and recording in self._erased_before:
                continue
            if named is None or named != recording:
                yield self._found(
                    "body.missing",
                    number,
                    "its body and salt are missing, and no erasure accounts for them",
                )

    def _subtrees(self) -> Iterator[AuditFinding]:
        query = SubtreeTable.select(
            SubtreeTable.level, SubtreeTable.number, SubtreeTable.hash, SubtreeTable.id
        )
        rows = database.execute(query.where(SubtreeTable.tenant_id == self.tenant)).fetchall()
        expected = dict.fromkeys((level for level, _, _, _ in rows), 0)
        for level, number, kept, identity in sorted(rows):
            found = self._growing.complete.get((level, number))
            if (found is None and self._whole) or identity != f"{self.tenant}/{level}/{number}":
                yield self._subtree(level, number, "a hash was kept of what is not complete, or not there")
            elif found is not None and found.hex() != kept:
                yield self._subtree(
                    level, number, "the hash that was kept of them is not that of what is there"
                )
            if number > expected[level]:  # they are created in order
                yield self._subtree(level, expected[level], "the hash that was kept of them was deleted")
            expected[level] = number + 1

    def _subtree(self, level: int, number: int, what: str) -> AuditFinding:
        first, last = number << (HEIGHT * level), ((number + 1) << (HEIGHT * level)) - 1
        return AuditFinding("subtree.changed", f"{self.tenant}: leaves {first} to {last}", what)

    def _found(self, code: str, number: int, message: str) -> AuditFinding:
        return AuditFinding(code, f"{self.tenant}: leaf {number}", message)


def _object(leaf: str) -> dict[str, Any] | None:
    try:
        said = json.loads(leaf)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _said_commitment(leaf: str) -> str:
    said = _object(leaf)
    return str(said.get("commitment")) if said else ""


def _bytes(text: str, otherwise: bytes) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return otherwise
