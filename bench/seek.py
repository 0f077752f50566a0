"""Seeking in an encrypted recording, beside seeking in the plain one: both lie in the same bucket.

    python -m bench.seek [--mib 32] [--seeks 200]

The server is SeaweedFS, started for this on loopback.  A seek asks for 64 KiB somewhere in the sound, as a
player does.  Accord reads the stored blocks in which they lie, compares each with the manifest's hash and
decrypts: ``seek`` with the object's header at hand, as the gate has it once somebody plays; ``first``
without, as where nobody has.  Beside it the same 64 KiB of the plain object, through the same
store.  All take turns; figures are medians of wall clock in milliseconds; prints JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.store import AAD, KEY, MIB
from recorder.seal import envelope
from recorder.store.embedded import PORTS, SeaweedFS
from recorder.store.s3 import S3Store
from tests.ports import free_ports

PIECE = 64 * 1024


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--mib", type=int, default=32)
    words.add_argument("--seeks", type=int, default=200)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = SeaweedFS(folder / "seaweedfs", free_ports(PORTS))
        server.start()
        try:
            print(json.dumps(measure(folder, S3Store(server.bucket()), given.mib, given.seeks), indent=1))
        finally:
            server.stop(seconds=0)


def measure(folder: Path, store: S3Store, mib: int, seeks: int) -> dict[str, object]:
    plain, encrypted = folder / "plain", folder / "encrypted"
    content = os.urandom(mib * MIB)
    plain.write_bytes(content)
    stored = envelope.encrypt(plain, encrypted, KEY, AAD)
    store.put("plain", plain, stored.plain_sha256)
    store.put("encrypted", encrypted, stored.sha256)

    def check(number: int, block: bytes) -> None:
        assert hashlib.sha256(block).hexdigest() == stored.blocks[number]

    def opened(header: bytes = b"") -> envelope.Reader:
        read = lambda start, end: store.read("encrypted", start, end)  # noqa: E731
        return envelope.Reader(KEY, AAD, read, stored.length, check, header)

    with open(encrypted, "rb") as file:
        header = file.read(envelope.HEADER)
    ways: dict[str, Callable[[int], bytes]] = {
        "plain": lambda at: store.read("plain", at, at + PIECE),
        "seek": lambda at: b"".join(opened(header).read(at, at + PIECE)),
        "first": lambda at: b"".join(opened().read(at, at + PIECE)),
    }
    chance = random.Random(20261126)
    took: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(seeks):
        at = chance.randrange(len(content) - PIECE)
        for way, seek in ways.items():
            begun = time.perf_counter()
            assert seek(at) == content[at : at + PIECE]
            took[way].append(time.perf_counter() - begun)
    middle = {way: round(statistics.median(all_) * 1000, 2) for way, all_ in took.items()}
    return {
        "mib": mib,
        "seek_ms": middle,
        "seek_beside_plain": round(middle["seek"] / middle["plain"], 2),
        "first_beside_plain": round(middle["first"] / middle["plain"], 2),
    }


if __name__ == "__main__":
    main()
