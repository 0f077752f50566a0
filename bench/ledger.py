"""A log of a million leaves: appending, the path to a leaf, and an audit of all, beside the same hashing in
bare Python and `sha256sum` of the same bytes.

    python -m bench.ledger [--leaves N]

The catalogue is SQLite in a folder of its own. The audit reads every leaf, its body and salt, checks each
commitment, builds the tree, and compares it with the checkpoints. Bodies of kinds that describe rows are also
compared with those; these leaves are of a kind that does not. Bare Python computes each leaf's hash, each
commitment and the tree from bytes in memory, and compares nothing; `sha256sum` reads leaves, bodies and salts
as one file.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from recorder import merkle
from recorder.audit.service import Audit
from recorder.auditlog import checkpoint
from recorder.auditlog.append import append, append_all
from recorder.auditlog.tree_cache import CachedTree
from recorder.catalogue import schema
from recorder.catalogue.database import connected, database, open_catalogue, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.identity import tenants
from recorder.ids import uuid7
from recorder.seal import signing
from recorder.services import Services
from recorder.store.directory import DirectoryStore
from tests.installation import services_in

BATCH = 1000
ALONE = 500
PATHS = 200
ROUNDS = 3
KIND = "access.refused"


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--leaves", type=int, default=1_000_000)
    leaves = words.parse_args().leaves
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(json.dumps(measure(folder, leaves), indent=1))


def measure(folder: Path, leaves: int) -> dict[str, object]:
    now = datetime.now(UTC)
    url = f"sqlite:///{folder / 'catalogue.db'}"
    schema.migrate(url)
    open_catalogue(url)
    signing.init(folder / "keys", now)
    tenant = str(uuid7(now))
    tenants.create_tenant(tenant, name="Bench", wrapped_key="{}", now=now, entropy=os.urandom)
    one, many = _add(tenant, leaves, now)
    means = _services(folder)
    seconds, head = _timed(lambda: checkpoint.sign(tenant, means, datetime.now(UTC)))
    assert head is not None
    assert checkpoint.publish(tenant, means, datetime.now(UTC)) == 1
    path, way = _paths(tenant, head.size)
    file = folder / "bytes"
    _write(tenant, file)
    audits, sums, bares = [], [], []
    audit = Audit(means.store, means.root, datetime.now(UTC), recordings=False)
    for _ in range(ROUNDS):
        sums.append(_both(lambda: subprocess.run(["sha256sum", file], stdout=subprocess.PIPE, check=True))[0])
        bares.append(_bare(tenant, head.root))
        elapsed, found = _both(lambda: list(audit.tenant(tenant)))
        assert not found, found
        audits.append(elapsed)
    (audited, audited_cpu), (summed, summed_cpu), (bare, bare_cpu) = map(_medians, (audits, sums, bares))
    return {
        "leaves": head.size,
        "mib": round(file.stat().st_size / 2**20, 1),
        "added_alone_per_second": round(one),
        "added_in_batches_per_second": round(many),
        "first_signing_seconds": round(seconds, 2),
        "path_ms": round(path * 1000, 2),
        "consistency_ms": round(way * 1000, 2),
        "audit_seconds": round(audited, 2),
        "sha256sum_seconds": round(summed, 3),
        "bare_python_seconds": round(bare, 2),
        "audit_beside_bare_python": round(audited / bare, 2),
        "audit_beside_sha256sum": round(audited / summed, 1),
        "audit_cpu_seconds": round(audited_cpu, 2),
        "sha256sum_cpu_seconds": round(summed_cpu, 3),
        "bare_python_cpu_seconds": round(bare_cpu, 2),
        "audit_beside_bare_python_cpu": round(audited_cpu / bare_cpu, 2),
        "audit_beside_sha256sum_cpu": round(audited_cpu / summed_cpu, 1),
    }


def _add(tenant: str, leaves: int, now: datetime) -> tuple[float, float]:
    """Leaves a second: one per transaction, and :data:`BATCH` per transaction."""

    def body(number: int) -> dict[str, str]:
        return {
            "user": tenant,
            "recording": f"{tenant[:-7]}{number:07}",
            "purpose": "agreement",
            "reason": "bench",
        }

    def alone() -> None:
        for number in range(ALONE):
            with writing():
                leaf = body(number)
                append(tenant, KIND, leaf, now, os.urandom, recording=leaf["recording"])

    def together() -> None:
        for begin in range(ALONE + 1, leaves, BATCH):
            bodies = [body(number) for number in range(begin, min(begin + BATCH, leaves))]
            with writing():
                append_all(tenant, KIND, [(each, each["recording"]) for each in bodies], now, os.urandom)

    one, _ = _timed(alone)
    print("… adding", file=sys.stderr, flush=True)
    many, _ = _timed(together)
    return ALONE / one, (leaves - ALONE) / many


def _services(folder: Path) -> Services:
    return services_in(folder, DirectoryStore(folder / "store"))


def _paths(tenant: str, size: int) -> tuple[float, float]:
    """Seconds for the path to a leaf, and from an older tree, each read from the catalogue afresh and
    checked."""
    inside, between = [], []
    root = CachedTree(tenant, size).root()
    for number in range(0, size, max(1, size // PATHS)):
        elapsed, path = _timed(lambda number=number: merkle.inclusion(number, size, CachedTree(tenant, size)))  # type: ignore[misc]
        inside.append(elapsed)
        with connected():
            row = LeafTable.get((LeafTable.tenant == tenant) & (LeafTable.number == number))
        assert merkle.check_inclusion(bytes.fromhex(row.leaf_hash), number, size, path, root)
        if number:
            elapsed, path = _timed(
                lambda number=number: merkle.consistency(number, size, CachedTree(tenant, size))
            )  # type: ignore[misc]
            between.append(elapsed)
            assert merkle.check_consistency(number, size, path, CachedTree(tenant, number).root(), root)
    return statistics.median(inside), statistics.median(between)


def _write(tenant: str, file: Path) -> None:
    with connected(), open(file, "wb") as out:
        query = LeafTable.select(LeafTable.leaf, LeafTable.body, LeafTable.salt)
        for leaf, body, salt in database.execute(query.where(LeafTable.tenant == tenant)):
            out.write(leaf.encode() + body.encode() + salt)


def _bare(tenant: str, root: bytes) -> tuple[float, float]:
    """Seconds for the hashing alone: leaves, commitments and tree, from data read before."""
    sha256, digest = hashlib.sha256, hmac.digest
    hashes: list[bytes] = []
    batches: list[tuple[float, float]] = []

    def leaves(rows: list[tuple[bytes, bytes, bytes]]) -> None:
        for leaf, body, salt in rows:
            digest(salt, body, "sha256")
            hashes.append(sha256(b"\x00" + leaf).digest())

    def above(row: list[bytes]) -> bytes:
        while len(row) > 1:
            odd = row[len(row) & ~1 :]
            row = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(row[::2], row[1::2], strict=False)
            ]
            row += odd
        return row[0]

    query = LeafTable.select(LeafTable.leaf, LeafTable.body, LeafTable.salt)
    with connected():
        cursor = database.execute(query.where(LeafTable.tenant == tenant).order_by(LeafTable.number))
        while rows := [(leaf.encode(), body.encode(), salt) for leaf, body, salt in cursor.fetchmany(BATCH)]:
            batches.append(_both(lambda rows=rows: leaves(rows))[0])  # type: ignore[misc]
    elapsed, found = _both(lambda: above(hashes))
    assert found == root
    wall, cpu = zip(*batches, elapsed, strict=True)
    return sum(wall), sum(cpu)


def _both(work):  # type: ignore[no-untyped-def]
    """Wall-clock and CPU seconds; the latter hardly depend on other load."""
    before = _cpu()
    elapsed, found = _timed(work)
    return (elapsed, _cpu() - before), found


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usages)


def _medians(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    wall, cpu = zip(*rounds, strict=True)
    return statistics.median(wall), statistics.median(cpu)


def _timed(work):  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


if __name__ == "__main__":
    main()
