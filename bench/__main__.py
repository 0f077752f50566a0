"""Every benchmark beside its rival, as one table.

    python -m bench            prints the table
    python -m bench --write    puts it into docs/results/performance.md too

Each benchmark is a process of its own, alternates rounds with its rival, and reports medians. The ratio is
what counts; absolute figures are this machine's. The announcement's delay needs a real FreeSWITCH.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.play import ACCORD, PLAIN, RANDOM

PAGE = Path(__file__).parents[1] / "docs" / "results" / "performance.md"
BEGIN, END = "<!-- bench:begin -->\n", "<!-- bench:end -->\n"

Row = tuple[str, str, str, str]


def output(module: str, *options: str) -> str:
    """What a benchmark prints on its standard output."""
    print(f"… {module} {' '.join(options)}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"bench.{module}", *options]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def report(module: str, *options: str) -> dict[str, Any]:
    """The JSON that a benchmark prints."""
    text = output(module, *options)
    found: dict[str, Any] = json.loads(text[text.index("{") :])
    return found


def announce() -> list[Row]:
    """The delay of the announcement, beside a dialplan that does the same by itself."""
    if not (os.environ.get("ACCORD_FREESWITCH") or shutil.which("freeswitch")):
        return [("Announcement begins after the INVITE", "not measured: no FreeSWITCH", "", "")]
    text = output("announce")
    bare, accord = (
        float(re.search(rf"^{name}\s+([0-9.]+)", text, re.MULTILINE)[1])  # type: ignore[index]
        for name in ("bare dialplan", "accord")
    )
    what = f"Announcement begins after the INVITE, {accord - bare:.1f} ms later"
    return [(what, f"{accord:.1f} ms", f"bare dialplan {bare:.1f} ms", f"{accord / bare:.2f}")]


def events() -> list[Row]:
    """Events read, beside stock greenswitch."""
    found = report("events")
    rate = found["by_cpu"]
    what = "Events read per CPU second (5 KB, 12 headers)"
    rival = f"greenswitch {found['greenswitch']}: {rate['greenswitch']:,}"
    return [(what, f"{rate['accord']:,}", rival, f"{found['ratio_by_cpu']:.1f}")]


def encode() -> list[Row]:
    """Encoding, beside ffmpeg."""
    found = report("encode")
    times, beside = found["times_real_time_by_cpu"], found["cpu_beside_ffmpeg"]
    name, rival = "accord, Opus and peaks", "ffmpeg, Opus alone"
    what = "Find the announcement, blank, encode, outline: CPU, times real time"
    own = times["ffmpeg, its own settings"]
    line = f"ffmpeg, encoding alone: so {times[rival]}×, as it does by itself {own}×"
    return [(what, f"{times[name]}×", line, f"{1 / beside[name]:.2f}, {times[name] / own:.2f}")]


def store() -> list[Row]:
    """Encrypting and storing one file, beside boto3's upload of the plain one."""
    found = next(iter(report("store")["results"]))
    rate = found["store_mib_s"]
    what = f"Encrypt, hash and store one object of {found['mib']:.0f} MiB alone"
    rival = f"plain `upload_file` {rate['boto3 upload_file']} MiB/s"
    return [(what, f"{rate['accord']} MiB/s", rival, f"{1 / found['store_ratio']:.2f} (goal: at least 0.9)")]


def spool_to_bucket() -> list[Row]:
    """A spool processed, and storing alone, beside ffmpeg and ``aws s3 cp``."""
    if not shutil.which("aws"):
        return [("From the spool to the bucket", "not measured: no aws", "", "")]
    found = report("spool_to_bucket")
    whole, rate, files = found["whole_seconds"], found["store_mib_s"], f"{found['mib']} MiB"
    rival = "ffmpeg, aws s3 cp"
    what = (
        f"{found['calls']} calls of {found['minutes_each']:.0f} minutes from the spool to the bucket, speed"
    )
    alone = f"Encrypt, hash and store their {files} of WAV and Opus"
    times = f"`ffmpeg`, then `aws s3 cp` {whole[rival]} s"
    return [
        (what, f"{whole['accord']} s", times, f"{found['whole_ratio']:.2f}"),
        (
            alone,
            f"{rate['accord']} MiB/s",
            f"`aws s3 cp` {rate['aws s3 cp']} MiB/s",
            f"{found['store_ratio']:.2f}",
        ),
    ]


def play() -> list[Row]:
    """Playback through the panel, beside a presigned GET: of the plain WAV, which SeaweedFS compresses, and
    of bytes that it cannot compress."""
    found = report("play")
    rows: list[Row] = []
    for key, what, goal in (
        ("first_byte_ms", "First byte of a play", " (goal: at most 2 of random bytes)"),
        ("seek_first_byte_ms", "First byte after a seek", ""),
    ):
        ours, theirs, other = (found[key][way] for way in (ACCORD, PLAIN, RANDOM))
        rival = f"presigned GET {theirs} ms, of random bytes {other} ms"
        rows.append((what, f"{ours} ms", rival, f"{ours / theirs:.2f}, {ours / other:.2f}{goal}"))
    rate = found["throughput_mib_s"]
    what = f"Throughput of a play ({found['times_faster_than_listening']:,} times as fast as listening)"
    rival = f"presigned GET {rate['presigned GET']:.0f} MiB/s"
    ratio = f"{found['throughput_ratio']:.2f} (goal: at least 0.9)"
    rows.append((what, f"{rate['accord']:.0f} MiB/s", rival, ratio))
    return rows


def seek() -> list[Row]:
    """Seeks in an encrypted recording, beside one in a plain object on the same store."""
    found = report("seek")
    ms, beside = found["ms"], found["beside_plain"]
    what = "in an encrypted recording: 64 KiB, checked and decrypted"
    return [
        (f"{which} {what}", f"{ms[way]} ms", f"a plain object {ms['plain']} ms", f"{beside[way]:.2f}")
        for way, which in (("first", "First seek after the grant"), ("later", "A later seek"))
    ]


def ledger() -> list[Row]:
    """A log of a million leaves, its audit beside the same hashing in bare Python, and ``sha256sum``."""
    found = report("ledger")
    what = f"Audit of a log of {found['leaves']:,} leaves ({found['mib']:.0f} MiB): hashes, commitments, tree"
    bare, summed = found["bare_python_seconds"], found["sha256sum_seconds"]
    rival = f"the same hashing in bare Python {bare} s, `sha256sum` of the bytes {summed} s"
    ratio = f"{found['audit_beside_bare_python']} (goal: at most 2), {found['audit_beside_sha256sum']}"
    audit = (what, f"{found['audit_seconds']} s", rival, ratio)
    path = f"Path to a leaf among {found['leaves']:,}, from the catalogue"
    return [audit, (path, f"{found['path_ms']} ms", "", "")]


def table(rows: list[Row]) -> str:
    """The rows as Markdown, with the machine they were measured on."""
    lines = ["| | Accord | Beside it | Accord ÷ beside |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return "\n".join(lines) + f"\n\n`make bench`, medians, both sides in the same run; {machine}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the table into its page, too")
    write = parser.parse_args().write
    text = table(
        [*announce(), *events(), *encode(), *spool_to_bucket(), *store(), *play(), *seek(), *ledger()]
    )
    print(text)
    if write:
        before, rest = PAGE.read_text("utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{text}{END}{rest.split(END)[1]}", "utf-8")


if __name__ == "__main__":
    main()
