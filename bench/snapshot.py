"""One changed line among many in a node's configuration snapshot: what is written for it, and read.

    python -m bench.snapshot [--lines 30000]

Every customer of fifty lines has announcements of its own; the sounds are a few bytes. Prints JSON: bytes and
milliseconds of processor time of the first write and of one after a change, and of the daemon's first and
next look.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from recorder.clock import utc_now
from recorder.domain.line_policy import Announcement, Keep, LinePolicy
from recorder.domain.sentences import TimedSentence
from recorder.spool.snapshot import read_snapshot, write_snapshot

LINES_OF_ONE = 50
TEXT = "Cet appel est enregistré afin que ce qui a été convenu reste clair ; gardé 30 jours."

Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Milliseconds of processor time, and the result."""
    start = time.process_time()
    result = work()
    return round((time.process_time() - start) * 1000, 1), result


def lines(folder: Path, count: int) -> list[LinePolicy]:
    """The policies, with their sounds."""
    (folder / "prompts").mkdir()
    policies = list[LinePolicy]()
    for customer in range(-(-count // LINES_OF_ONE)):
        sound = f"sound of customer {customer}".encode()
        sha256 = hashlib.sha256(sound).hexdigest()
        (folder / "prompts" / f"{sha256}.wav").write_bytes(sound)
        sentence = TimedSentence(TEXT, sha256, 6200)
        announcement = Announcement(f"a{customer}", 1, "fr", TEXT, ("agreement",), 30, sha256, 6200)
        keep = Keep("agreement", 365, *[sentence] * 5)
        line = LinePolicy("", "", "", "notice", "before_ringing", ("opus",), announcement, keep=keep)
        first = customer * LINES_OF_ONE
        policies += [
            replace(line, tenant=f"tenant-{customer}", line=f"line-{number}", number=f"+3225{number:06}")
            for number in range(first, min(first + LINES_OF_ONE, count))
        ]
    return policies


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Inode and bytes of each file but the sounds."""
    found = [path for path in folder.rglob("*.json") if path.is_file()]
    return {path: (path.stat().st_ino, path.stat().st_size) for path in found}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=30_000)
    count = parser.parse_args().lines
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        policies = lines(folder, count)
        first, _ = timed(lambda: write_snapshot(folder, policies, (), utc_now()))
        before = files(folder)
        start, known = timed(lambda: read_snapshot(folder))
        policies[count // 2] = replace(policies[count // 2], beep="both")
        changed, _ = timed(lambda: write_snapshot(folder, policies, (), utc_now()))
        after = files(folder)
        again, _ = timed(lambda: read_snapshot(folder, known))
    new = [size for path, (inode, size) in after.items() if before.get(path) != (inode, size)]
    figures = {
        "lines": count,
        "first": {
            "bytes": sum(size for _, size in before.values()), "write_ms": first, "read_ms": start,
        },
        "one_line_changed": {"bytes": sum(new), "files": len(new), "write_ms": changed, "read_ms": again},
    }  # fmt: skip
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
