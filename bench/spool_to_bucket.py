"""From a spool of finished calls to the bucket, beside ffmpeg and ``aws s3 cp`` on the same files.

    python -m bench.spool_to_bucket [--calls 24] [--minutes 5] [--rounds 3]

Accord: a worker with one encoder processes a spool: it finds each announcement, redacts, encodes to Opus,
keeps the WAV too, computes peaks, encrypts, seals, stores and lists, every step durable. Beside it, a script
without any of that: ffmpeg for one WAV after the other (libopus, one thread, the same bit rate), then one
``aws s3 cp --recursive`` of all WAV and Opus files to the same SeaweedFS. *Storing* is also measured alone:
encrypt, hash, make durable and put, four at once as the worker does, beside the same ``aws`` call. Rounds
alternate; figures are medians of wall-clock seconds, including process start-up. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

MIB = 1024 * 1024
KEY = bytes(range(32))
UPLOADS = 4
TURN_SECONDS = 22.4
"""Length of the conversation that tests use."""


def work_off(folder: Path, port: int) -> None:
    """Run the worker's process until the spool is empty."""
    import structlog

    from recorder import clock
    from recorder.config import Settings, WorkerSettings
    from recorder.processes.worker_loop import Worker
    from recorder.store.retry import with_retries
    from recorder.store.s3 import S3Store
    from recorder.store.seaweedfs import SeaweedFS
    from tests.house import House

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    store = S3Store(SeaweedFS(folder / "seaweedfs", port).bucket())
    house = House(folder, clock.utc_now, os.urandom, store)
    spool = folder / "spool"
    services = replace(
        house.services,
        store=with_retries(store),
        boundary=lambda stage: worker.stop() if stage == "removed" and not calls(spool) else None,
    )
    worker = Worker(services, Settings(worker=WorkerSettings(processes=1, nice=0)), uploads=UPLOADS)
    worker.run()
    house.close()


def calls(spool: Path) -> list[Path]:
    return [path for path in spool.iterdir() if path.is_dir() and not path.name.startswith(".")]


def fill(folder: Path, port: int, count: int, minutes: float, number: str) -> None:
    """Fill the spool with finished calls to a number."""
    from recorder.clock import utc_now
    from recorder.store.s3 import S3Store
    from recorder.store.seaweedfs import SeaweedFS
    from tests.house import House

    house = House(folder, utc_now, os.urandom, S3Store(SeaweedFS(folder / "seaweedfs", port).bucket()))
    customer = house.customer(f"Bench {number}", number)
    times = max(1, round(minutes * 60 / TURN_SECONDS))
    for index in range(count):
        house.finished(customer, times=times, at=utc_now() - timedelta(minutes=minutes + index))
    house.close()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def store_all(plain: Path, folder: Path, port: int) -> None:
    """Encrypt and store each file of a folder, in its own process."""
    from recorder.seal import streaming_aead
    from recorder.store.s3 import S3Store
    from recorder.store.seaweedfs import SeaweedFS

    store = S3Store(SeaweedFS(folder / "seaweedfs", port).bucket())
    encrypted = folder / "encrypted"
    encrypted.mkdir(exist_ok=True)

    def one(file: Path) -> None:
        key, target = f"ours/{plain.name}/{file.name}", encrypted / file.name
        stored = streaming_aead.encrypt(
            file, target, KEY, streaming_aead.associated_data(plain.name, file.name)
        )
        store.put(key, target, stored.sha256)

    with ThreadPoolExecutor(UPLOADS) as threads:
        list(threads.map(one, sorted(plain.iterdir())))


def run(folder: Path, count: int, minutes: float, rounds: int) -> dict[str, object]:
    from recorder.audio.encoding import BIT_RATES, NARROW
    from recorder.spool.layout import AUDIO
    from recorder.store.seaweedfs import PORTS, SeaweedFS
    from tests.ports import free_ports

    port = free_ports(PORTS)
    server = SeaweedFS(folder / "seaweedfs", port)
    server.start()
    bucket = server.bucket()
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": bucket.access_key,
        "AWS_SECRET_ACCESS_KEY": bucket.secret_key,
        "AWS_DEFAULT_REGION": bucket.region,
    }

    def aws(plain: Path, name: str) -> None:
        target = f"s3://{bucket.name}/{name}/"
        command = ["aws", "s3", "cp", "--recursive", "--quiet", "--endpoint-url", bucket.endpoint or ""]
        subprocess.run([*command, str(plain), target], env=environment, check=True)

    def script(plain: Path, name: str) -> None:
        settings = ["-c:a", "libopus", "-application", "voip", "-b:a", str(BIT_RATES[8000])]
        settings += [word for name, value in NARROW.items() for word in (f"-{name}", value)]
        for wav in sorted(plain.glob("*.wav")):
            arguments = ["-threads", "1", "-i", str(wav), *settings, str(wav.with_suffix(".opus"))]
            subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True)
        aws(plain, name)

    def accord(*more: str) -> None:
        command = [
            sys.executable,
            "-m",
            "bench.spool_to_bucket",
            "--in",
            str(folder),
            "--port",
            str(port),
            *more,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    whole: dict[str, list[float]] = {"accord": [], "ffmpeg, aws s3 cp": []}
    latencies: dict[str, list[float]] = {"accord": [], "aws s3 cp": []}

    def one_round(number: int) -> int:
        """Measure all four; returns the bytes stored."""
        fill(folder, port, count, minutes, f"+32255501{number:02}")
        plain = folder / f"plain-{number}"
        plain.mkdir()
        for take in calls(folder / "spool"):
            shutil.copy(take / AUDIO, plain / f"{take.name}.wav")
        os.sync()
        whole["accord"].append(seconds(accord))
        assert not calls(folder / "spool"), "the worker left takes in the spool"
        whole["ffmpeg, aws s3 cp"].append(seconds(lambda: script(plain, f"whole-{number}")))
        os.sync()
        latencies["accord"].append(seconds(lambda: accord("--store", str(plain))))
        latencies["aws s3 cp"].append(seconds(lambda: aws(plain, f"theirs-{number}")))
        size = sum(file.stat().st_size for file in plain.iterdir())
        shutil.rmtree(plain)
        return size

    try:
        size = [one_round(number) for number in range(rounds)][-1]
    finally:
        server.stop(seconds=0)
    version = subprocess.run(["aws", "--version"], capture_output=True, text=True, check=True).stdout
    ours, theirs = (statistics.median(whole[name]) for name in whole)
    put, copied = (statistics.median(latencies[name]) for name in latencies)
    return {
        "bench": "from the spool to the bucket",
        "calls": count,
        "minutes_each": minutes,
        "mib": round(size / MIB),
        "rounds": rounds,
        "aws": version.split()[0].replace("/", " "),
        "whole_seconds": {name: round(statistics.median(each), 2) for name, each in whole.items()},
        "whole_ratio": round(theirs / ours, 2),
        "store_mib_s": {"accord": round(size / MIB / put), "aws s3 cp": round(size / MIB / copied)},
        "store_ratio": round(copied / put, 2),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=24)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.store is not None:
        store_all(options.store, options.folder, options.port)
    elif options.folder is not None:
        work_off(options.folder, options.port)
    if options.folder is not None:
        return
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(run(Path(name), options.calls, options.minutes, options.rounds), indent=1))


if __name__ == "__main__":
    main()
