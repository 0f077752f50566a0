"""Storing and reading through the seal, beside plain S3 on the same server.

    python bench/store.py [--mib 16] [--rounds 7]

The server is SeaweedFS, started for this on loopback. Storing: Accord encrypts the file, hashes every block,
makes it durable and puts it once with its SHA-256; beside it, boto3's own ``upload_file`` (as in ``aws s3
cp``) of the plain file. Reading: Accord reads by range, compares each stored block with the manifest and
decrypts, as the gate does; beside it a presigned GET. Rounds alternate; figures are medians, in wall-clock
seconds and MiB a second. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recorder.seal import streaming_aead
from recorder.seal.manifest import Object
from recorder.store.s3 import S3Store
from recorder.store.s3_client import connect
from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.ports import free_ports

MIB = 1024 * 1024
KEY = bytes(range(32))
AAD = streaming_aead.associated_data("0198c0de-0000-7000-8000-000000000001", "audio.wav")


@dataclass(frozen=True)
class ReadTimes:
    """Seconds until the first plain bytes, and until the last."""

    first: float
    all: float


def measured(pieces: Iterator[bytes], length: int) -> ReadTimes:
    start = time.perf_counter()
    first, total = 0.0, 0
    for piece in pieces:
        first = first or time.perf_counter() - start
        total += len(piece)
    assert total == length, (total, length)
    return ReadTimes(first, time.perf_counter() - start)


def presigned(url: str) -> Iterator[bytes]:
    with urllib.request.urlopen(url) as answer:
        while piece := answer.read(65536):
            yield piece


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(folder: Path, server: SeaweedFS, length: int, rounds: int) -> dict[str, object]:
    store, client = S3Store(server.bucket()), connect(server.bucket())
    store.abilities()
    plain, encrypted = folder / "audio.wav", folder / "audio.wav.enc"
    plain.write_bytes(os.urandom(length))
    encryption = streaming_aead.encrypt(plain, encrypted, KEY, AAD)
    sealed = Object(
        "audio.wav",
        "audio/wav",
        encryption.plain_sha256,
        length,
        encryption.sha256,
        encryption.length,
        encryption.blocks,
    )
    store.put(f"bench/{length}/kept", encrypted, encryption.sha256)
    client.upload_file(str(plain), "accord", "bench/plain")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "accord", "Key": "bench/plain"})

    def ours(number: int) -> None:
        stored = streaming_aead.encrypt(plain, encrypted, KEY, AAD)
        store.put(f"bench/{length}/ours-{number}", encrypted, stored.sha256)

    def gated() -> Iterator[bytes]:
        def read(start: int, end: int) -> bytes:
            return store.read(f"bench/{length}/kept", start, end)

        return streaming_aead.Reader(KEY, AAD, read, sealed.stored_length, sealed.check_block).read()

    encrypt_s, put_s, plainly = [], [], []
    gated_reads: list[ReadTimes] = []
    presigned_reads: list[ReadTimes] = []
    for number in range(rounds):
        put_s.append(timed(lambda n=number: ours(n)))  # type: ignore[misc]
        plainly.append(timed(lambda n=number: client.upload_file(str(plain), "accord", f"bench/theirs-{n}")))  # type: ignore[misc]
        encrypt_s.append(timed(lambda: streaming_aead.encrypt(plain, encrypted, KEY, AAD)))
        gated_reads.append(measured(gated(), length))
        presigned_reads.append(measured(presigned(url), length))

    mib = length / MIB
    put, beside = statistics.median(put_s), statistics.median(plainly)
    through = statistics.median(read.all for read in gated_reads)
    direct = statistics.median(read.all for read in presigned_reads)
    first = statistics.median(read.first for read in gated_reads)
    first_direct = statistics.median(read.first for read in presigned_reads)
    return {
        "mib": round(mib, 1),
        "rounds": rounds,
        "encrypt_mib_s": round(mib / statistics.median(encrypt_s)),
        "store_mib_s": {"accord": round(mib / put), "boto3 upload_file": round(mib / beside)},
        "store_ratio": round(put / beside, 2),
        "read_mib_s": {"accord": round(mib / through), "presigned GET": round(mib / direct)},
        "read_ratio": round(through / direct, 2),
        "first_byte_ms": {"accord": round(first * 1000, 1), "presigned GET": round(first_direct * 1000, 1)},
        "first_byte_ratio": round(first / first_direct, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=float, nargs="*", default=[16])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = SeaweedFS(folder / "seaweedfs", free_ports(PORTS))
        server.start()
        try:
            results = [run(folder, server, int(mib * MIB), options.rounds) for mib in options.mib]
        finally:
            server.stop(seconds=0)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({"machine": machine, "results": results}, indent=1))


if __name__ == "__main__":
    main()
