"""Encoding a take: Accord's whole stage beside ffmpeg's libopus alone, on the same file.

    python -m bench.encode [--minutes 10] [--rounds 5]

The take is an announced call with two people talking, 8 kHz stereo. ffmpeg encodes it to Opus with the same
settings, and with its own complexity and packets (10, 20 ms) at 32 kb/s, which sound alike, with libopus in
one thread like ours. Accord also finds the announcement, redacts, computes peaks and (if asked) the WAV,
hashes, and makes everything durable. Rounds alternate; figures are medians of CPU time, so that a busy
machine does not matter. Prints JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile

import demo.practice
from recorder.audio.encoding import BIT_RATES, NARROW, encode
from recorder.domain.line_policy import Announcement
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.spool import layout
from recorder.spool.layout import CallEnd, CallStart, Take
from tests.announcements import announcement_in

RATE = 8000
START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


def a_take(folder: Path, minutes: float, formats: tuple[str, ...]) -> tuple[Take, Path]:
    """An announced call of that length, in a spool of its own."""
    sentence = announcement_in("en")
    prompt, _ = soundfile.read(sentence.path, dtype="int16")
    speech = Path(demo.practice.__file__).parent / "speech" / "en"
    caller, callee = (
        soundfile.read(speech / f"{side}.wav", dtype="int16")[0] for side in ("caller", "callee")
    )
    times = int(minutes * 60 * RATE) // len(caller) + 1
    left = np.concatenate([np.zeros_like(prompt), np.tile(caller, times)])
    right = np.concatenate([prompt, np.tile(callee, times)])
    announcement = Announcement(
        "a",
        1,
        sentence.language,
        sentence.text,
        sentence.purposes,
        sentence.keep_days,
        hashlib.sha256(sentence.path.read_bytes()).hexdigest(),
        len(prompt) * 1000 // RATE,
    )
    start = CallStart(
        f"bench-{'-'.join(formats)}",
        "t",
        "l",
        "3221234567",
        "inbound",
        "n",
        "c",
        Party("withheld", ""),
        START,
        formats,
        announcement,
    )
    take = layout.open_take(folder, start)
    soundfile.write(take / layout.AUDIO, np.stack([left, right], axis=1), RATE, subtype="PCM_16")
    end = START + timedelta(seconds=len(left) / RATE)
    announced_at = START + timedelta(milliseconds=announcement.duration_ms)
    for at, kind in (
        (START, "announcement_started"),
        (announced_at, "announcement_finished"),
        (announced_at, "bridged"),
    ):
        layout.append_marker(take, Marker(at, kind))
    layout.append_marker(take, Marker(end, "hangup"))
    layout.close_take(take, CallEnd("recorded", None, end, None))
    return layout.read_take(take), sentence.path


def cpu(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock seconds, and CPU seconds including children."""

    def cpu_time() -> float:
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    clock, before = time.perf_counter(), cpu_time()
    work()
    return time.perf_counter() - clock, cpu_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opus, prompt = a_take(folder, options.minutes, ("opus",))
        both, _ = a_take(folder, options.minutes, ("opus", "wav"))
        ffmpeg = [
            "ffmpeg",
            "-v",
            "error",
            "-y",
            "-threads",
            "1",
            "-i",
            str(opus.audio),
            *("-c:a", "libopus", "-application", "voip"),
        ]
        same = [*(word for name, value in NARROW.items() for word in (f"-{name}", value))]
        same += ["-b:a", str(BIT_RATES[RATE])]
        works: dict[str, Callable[[], object]] = {
            "ffmpeg, Opus alone": lambda: subprocess.run(
                [*ffmpeg, *same, "out.opus"], cwd=folder, check=True
            ),
            "ffmpeg, its own settings": lambda: subprocess.run(
                [*ffmpeg, "-b:a", "32000", "own.opus"], cwd=folder, check=True
            ),
            "accord, Opus and peaks": lambda: encode(opus, prompt),
            "accord, Opus, WAV and peaks": lambda: encode(both, prompt),
        }
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
        for work in works.values():
            work()
        for _ in range(options.rounds):
            for name, work in works.items():
                rounds[name].append(cpu(work))
        seconds = encode(opus, prompt).duration_ms / 1000
        clock = {name: statistics.median(one[0] for one in times) for name, times in rounds.items()}
        medians = {name: statistics.median(one[1] for one in times) for name, times in rounds.items()}
        rival = medians["ffmpeg, Opus alone"]
        ffmpeg_version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True)
        print(
            json.dumps(
                {
                    "bench": "encoding a take",
                    "take_seconds": round(seconds),
                    "rounds": options.rounds,
                    "ffmpeg": ffmpeg_version.stdout.split()[2],
                    "av": version("av"),
                    "python": platform.python_version(),
                    "times_real_time_by_cpu": {name: round(seconds / s) for name, s in medians.items()},
                    "times_real_time_by_clock": {name: round(seconds / s) for name, s in clock.items()},
                    "cpu_beside_ffmpeg": {name: round(s / rival, 2) for name, s in medians.items()},
                    "bytes": {
                        "ffmpeg": (folder / "out.opus").stat().st_size,
                        "ffmpeg, its own settings": (folder / "own.opus").stat().st_size,
                        "accord": (opus.folder / "audio.opus").stat().st_size,
                    },
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
