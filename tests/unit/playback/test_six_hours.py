"""A call of six hours through every stage, made as a file: encoded, redacted, sealed, stored and played from
its end, in bounded memory."""

from __future__ import annotations

import re
import shutil
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
import pytest

from recorder.audio import wav
from recorder.audio.encoding import encode_take
from recorder.catalogue import queries
from recorder.domain.markers import Marker
from recorder.pipeline import stages
from recorder.spool import layout
from recorder.spool.layout import AudioLength, CallEnd

RATE = 8000
HOURS = 6
MINUTE_MS = 60_000
LENGTH_MS = HOURS * 60 * MINUTE_MS
HOLD_MS, HOLD_LENGTH_MS = 3 * 60 * MINUTE_MS, MINUTE_MS
"""The external party's phone sends nothing for a minute, so the file has nothing of it."""
PAUSE_MS, PAUSE_LENGTH_MS = 5 * 60 * MINUTE_MS, 10_000
WAIT_MS, WAIT_LENGTH_MS = LENGTH_MS - 2 * MINUTE_MS, 5000
MOST_KIB = 400 * 1024
"""KiB for the process that encodes, most of it its libraries; the call is 660 MiB."""
MOST_BYTES = 96 * 1024 * 1024
"""For sealing, storing and playing it, with the modules that it imports."""
PEAKS_KIB: list[int] = []


def encode_measured(folder: Path, prompt: Path) -> tuple[int, int]:
    """Encode; the second number is the peak of this process in KiB (``getrusage`` counts its parent)."""
    length = encode_take(folder, prompt)
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return length, int(peak)


def encode_apart(folder: Path, prompt: Path) -> int:
    """Encode in a process of its own, as the worker does, and note its memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        length, kib = pool.submit(encode_measured, folder, prompt).result()
    PEAKS_KIB.append(kib)
    return length


def minute(number: int) -> np.ndarray:
    """What both say in a minute of the file: tones of that minute."""
    at = np.arange(RATE) / RATE
    second = [5000 * np.sin(2 * np.pi * (base + 3 * number) * at) for base in (300, 900)]
    return np.tile(np.stack(second, axis=1).astype(np.int16), (60, 1))


def file_minutes(prompt: np.ndarray) -> Iterator[np.ndarray]:
    """The file: what the switch wrote, minute by minute."""
    for number in range(LENGTH_MS // MINUTE_MS - 1):
        samples = minute(number)
        if number == 0:
            samples[: len(prompt), 1] = prompt
        if number == PAUSE_MS // MINUTE_MS - 1:  # the hold before it is not in the file
            samples[: PAUSE_LENGTH_MS * 8] = 0
        yield samples


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("catalogue_kind", ["sqlite"])
def test_a_call_of_six_hours(house, gate, ada) -> None:
    start = house.start(formats=("opus", "wav"))
    folder = layout.open_take(house.spool, start)
    prompt = house._prompt()
    with open(folder / layout.AUDIO, "wb") as file:
        file.write(wav.wav_header(RATE, (LENGTH_MS - HOLD_LENGTH_MS) * 8))
        for samples in file_minutes(prompt):
            file.write(samples.tobytes())
    announced_ms = len(prompt) // 8
    for ms, kind in (
        (0, "recording_started"),
        (0, "announcement_started"),
        (announced_ms, "announcement_finished"),
        (announced_ms, "bridged"),
        (HOLD_MS, "hold"),
        (HOLD_MS + HOLD_LENGTH_MS, "unhold"),
        (PAUSE_MS, "paused"),
        (PAUSE_MS + PAUSE_LENGTH_MS, "resumed"),
        (WAIT_MS, "internal_hold"),
        (WAIT_MS + WAIT_LENGTH_MS, "internal_unhold"),
        (LENGTH_MS, "hangup"),
        (LENGTH_MS, "recording_stopped"),
    ):
        at = start.started_at + timedelta(milliseconds=ms)
        in_file = min(ms, max(HOLD_MS, ms - HOLD_LENGTH_MS))
        data = {"seconds": "120"} if kind == "paused" else {}
        layout.append_marker(folder, Marker(at, kind, data), AudioLength(at, 44 + in_file * 32))
    ended = start.started_at + timedelta(milliseconds=LENGTH_MS)
    layout.close_take(folder, CallEnd("recorded", None, ended, None))
    house.clock.forward(hours=HOURS, minutes=1)

    while (folder / layout.CALL).exists() and not (folder / "encoded.json").exists():
        stages.step(folder, house.clock(), house.services, encode_apart)
    assert PEAKS_KIB[-1] < MOST_KIB
    tracemalloc.start()
    house.work(folder)
    assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    row = queries.recording(house.tenant, folder.name)
    assert row is not None
    assert row.duration_ms == LENGTH_MS

    grant = gate.grant(ada, row.id, "agreement")
    manifest = gate.manifest(ada, grant.id)
    assert manifest.drift_ms == 0
    (paused,) = (gap for gap in manifest.gaps if gap.reason == "paused")
    assert (paused.start_ms, paused.end_ms) == (PAUSE_MS, PAUSE_MS + PAUSE_LENGTH_MS)
    holds = [(gap.start_ms, gap.end_ms) for gap in manifest.gaps if gap.reason == "hold"]
    assert holds == [
        (HOLD_MS - 50, HOLD_MS + HOLD_LENGTH_MS + 50), (WAIT_MS - 50, WAIT_MS + WAIT_LENGTH_MS + 50),
    ]  # fmt: skip

    tracemalloc.reset_peak()
    last = LENGTH_MS // MINUTE_MS - 1
    sound = gate.open(ada, grant.id, "audio.wav", "p")
    at = 44 + last * RATE * 60 * 4
    assert b"".join(sound.read(at, at + 100_000)) == minute(last - 1).tobytes()[:100_000]
    offset = 44 + (WAIT_MS + 1000) * 32
    assert not any(b"".join(sound.read(offset, offset + 32_000)))
    opus = folder.parent / "played.opus"
    played = gate.open(ada, grant.id, "audio.opus", "q")
    with open(opus, "wb") as file:
        for piece in played.read(0, played.length):
            file.write(piece)
    assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    tracemalloc.stop()
    with av.open(str(opus)) as container:
        assert container.duration is not None
        assert abs(container.duration / 1e6 - LENGTH_MS / 1000) < 1
    for scratch in (house.spool, house.bucket):
        shutil.rmtree(scratch)
