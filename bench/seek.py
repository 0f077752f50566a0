"""Seeking in an encrypted recording, beside seeking in a plain object in the same bucket.

    python -m bench.seek [--minutes 18] [--seeks 200]

The server is SeaweedFS, started for this on loopback; the recording is a call that went through every stage.
A seek requests 64 KiB somewhere in the audio, as a player does: the stored blocks that hold them are read,
compared with the seal and decrypted (``recorder/playback/audio_reader.py``, as in the gate):

``first``       the first seek after a grant, with everything that the grant prepares and nothing else
``later``       a seek after that
``unprepared``  a first seek where another panel issued the grant, or this one has restarted since
``plain``       the rival: 64 KiB of an equally long object of random bytes, through the same store (plain WAV
                is no rival: SeaweedFS compresses it, and seeking in it takes many times as long)

The rest of the gate's work is not seeking, and has figures of its own, without a rival.  ``grant`` is the
wait before the first byte.  ``first request`` and ``later request`` are seeks with everything that a request
needs: the user, the grant, the comparison of row and seal, and the listen, on disk in the catalogue before
the first byte.  All take turns; figures are medians of wall-clock milliseconds.  Prints JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog

from bench.store import MIB
from recorder.catalogue import queries
from recorder.clock import utc_now
from recorder.playback.audio_reader import AudioReader
from recorder.playback.interface import Actor
from recorder.playback.verified_recording import RecordingVerifier
from recorder.processes.gate import PanelGate
from recorder.store.s3 import S3Store
from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.house import House
from tests.ports import free_ports

PIECE = 64 * 1024
NAME = "audio.wav"
CONVERSATION = 22.4
"""Seconds of the conversation from which the call is made."""


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--minutes", type=float, default=18)
    words.add_argument("--seeks", type=int, default=200)
    options = words.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = SeaweedFS(folder / "seaweedfs", free_ports(PORTS))
        server.start()
        try:
            store = S3Store(server.bucket())
            print(json.dumps(measure(folder, store, options.minutes, options.seeks), indent=1))
        finally:
            server.stop(seconds=0)


def measure(folder: Path, store: S3Store, minutes: float, seeks: int) -> dict[str, object]:
    house = House(folder, utc_now, os.urandom, store)
    customer = house.customer("Bench", "+3225550100")
    claire = house.person(customer, "claire", "Claire")
    who = Actor(claire.id, customer.id, claire.role, "fr")
    times = max(1, round(minutes * 60 / CONVERSATION))
    recording = house.call(customer, times=times, at=utc_now() - timedelta(minutes=minutes + 1))
    row = queries.recording(customer.id, recording)
    assert row is not None
    sealed = RecordingVerifier(store, house.keyring, house.root_public).open(row, utc_now())
    opened = AudioReader(store).open(sealed, NAME)
    content, noise = b"".join(opened.read(0, opened.length)), os.urandom(opened.length)
    (folder / "plain").write_bytes(noise)
    store.put("plain", folder / "plain", hashlib.sha256(noise).hexdigest())
    chance = random.Random(20261126)
    latencies: dict[str, list[float]] = {}

    def seek(way: str, expected: bytes, read: Callable[[int, int], bytes]) -> None:
        at = chance.randrange(len(expected) - PIECE)
        stage_start = time.perf_counter()
        found = read(at, at + PIECE)
        latencies.setdefault(way, []).append(time.perf_counter() - stage_start)
        assert found == expected[at : at + PIECE]

    def through(sounds: AudioReader) -> Callable[[int, int], bytes]:
        return lambda start, end: b"".join(sounds.open(sealed, NAME).read(start, end))

    for number in range(seeks):
        new, warm = AudioReader(store), AudioReader(store)
        for sounds in (new, warm):
            sounds.prepare(sealed)
        through(warm)(0, 1)
        ways = [
            ("plain", noise, partial(store.read, "plain")),
            ("first", content, through(new)),
            ("later", content, through(warm)),
            ("unprepared", content, through(AudioReader(store))),
        ]
        chance.shuffle(ways)
        for way in ways:
            seek(*way)
        if number % 4 == 0:
            gate = PanelGate(store, house.keyring, house.root_public)
            stage_start = time.perf_counter()
            grant = gate.grant(who, recording, "agreement")
            latencies.setdefault("grant", []).append(time.perf_counter() - stage_start)
            ask = partial(request, gate, who, grant.id)
            seek("first request", content, ask)
            seek("later request", content, ask)
    house.close()
    middle = {way: round(statistics.median(all_) * 1000, 2) for way, all_ in latencies.items()}
    beside = {way: round(middle[way] / middle["plain"], 2) for way in ("first", "later", "unprepared")}
    return {"mib": round(len(content) / MIB, 1), "seeks": seeks, "ms": middle, "beside_plain": beside}


def request(gate: PanelGate, who: Actor, grant: str, start: int, end: int) -> bytes:
    """A seek as the panel requests it from the gate."""
    return b"".join(gate.open(who, grant, NAME, "play").read(start, end))


if __name__ == "__main__":
    main()
