"""sipp as the telephones: callers who call again and again, and their callees."""

from __future__ import annotations

import csv
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.load.sound import write_speech
from demo.practice.party import SPEECH

SCENARIOS: Final = Path(__file__).parent / "scenarios"

RATE: Final = 10
"""Calls a second at most, while there are fewer than wanted."""

RING: Final = 2.0
"""Seconds that a called telephone rings."""

CALLER: Final = "+3247{:07}"
"""The caller's number, by the number of the call."""


@dataclass(frozen=True, slots=True)
class Count:
    """sipp's counts: ``starts``, ``live``, ``ended`` well and ``failed``."""

    starts: int
    live: int
    ended: int
    failed: int


@dataclass
class Ports:
    """Where the telephones are; ``control`` is sipp's own, ``rtp`` the first of four thousand."""

    callers: int
    callees: int
    control: int
    rtp: int


class Phones:
    """Both sides; their files are in ``folder``.

    :meth:`begin` makes calls until ``limit`` are live, each ``shortest`` to ``longest`` seconds from its
    answer, and a new one for each that ends, until :meth:`stop`.
    """

    def __init__(self, folder: Path, ports: Ports, switch_port: int, shortest: float, longest: float) -> None:
        self._folder = folder
        self._ports = ports
        self._switch = switch_port
        self._lengths = shortest, longest
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True)

    @property
    def pids(self) -> list[int]:
        """Both processes, as far as they run."""
        return [program.pid for program in self._programs.values() if program.poll() is None]

    def sound(self, name: str) -> Path:
        """What the ``caller`` or the ``callee`` says."""
        return self._folder / f"{name}.ulaw"

    def prepare(self) -> None:
        """Make sounds and scenarios, and let the callees wait for calls."""
        for seed, name in enumerate(("caller", "callee")):
            write_speech(SPEECH / "fr" / f"{name}.wav", self.sound(name), seed)
            text = (SCENARIOS / f"{name}.xml").read_text("utf-8")
            for word, seconds in zip(("SHORTEST", "LONGEST"), self._lengths, strict=True):
                text = text.replace(word, str(round(seconds * 1000)))
            (self._folder / f"{name}.xml").write_text(text, "utf-8")
        numbers = CALLER.format(0).replace("0" * 7, "%07d")
        (self._folder / "numbers.csv").write_text(f"SEQUENTIAL,PRINTF=9999999\n{numbers}\n", "utf-8")
        self._start("callee", self._ports.callees, self._ports.rtp + 2000, "-aa")

    def begin(self, number: str, limit: int, seconds: float) -> None:
        """Call ``number`` until so many calls are live, evenly within so many ``seconds``, and then a new one
        for each that ends."""
        self._start(
            "caller", self._ports.callers, self._ports.rtp, f"127.0.0.1:{self._switch}",
            "-s", number, "-inf", "numbers.csv",
            "-l", str(limit), "-r", str(limit), "-rp", str(round(seconds * 1000)),
            "-cp", str(self._ports.control), "-trace_stat", "-stf", "count.csv", "-fd", "1",
            "-trace_rtt", "-rtt_freq", "1", "-trace_err", "-error_file", "errors.log",
        )  # fmt: skip

    def limit(self, calls: int) -> None:
        """Change how many calls may be live."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            control.sendto(f"cset limit {calls}".encode(), ("127.0.0.1", self._ports.control))

    def count(self) -> Count:
        """The calls so far, at most a second old."""
        try:
            text = (self._folder / "count.csv").read_text("utf-8")
        except FileNotFoundError:
            return Count(0, 0, 0, 0)
        rows = list(csv.DictReader(text.splitlines(), delimiter=";"))
        if not rows:
            return Count(0, 0, 0, 0)
        names = ("OutgoingCall(C)", "CurrentCall", "SuccessfulCall(C)", "FailedCall(C)")
        attempts, live, completed, failed = (int(rows[-1][name] or 0) for name in names)
        return Count(attempts, live, completed, failed)

    def check(self) -> None:
        """Raise RuntimeError if a sipp process has crashed, since all its calls fail after that."""
        for name, program in self._programs.items():
            if (status := program.poll()) is not None:
                raise RuntimeError(f"the {name}s' sipp ended with status {status}: measure again")

    def answered(self) -> list[tuple[float, float]]:
        """Of each answered call: when (seconds since the first), and milliseconds from INVITE to answer."""
        files = list(self._folder.glob("caller_*_rtt.csv"))
        lines = files[0].read_text("utf-8").splitlines()[1:] if files else []
        cells = (line.split(";") for line in lines)
        return [(float(when) / 1000, float(latency)) for when, latency, _ in cells]

    def stop(self, seconds: float) -> Count:
        """Start no more calls, and wait until all have ended."""
        caller = self._programs["caller"]
        caller.send_signal(signal.SIGUSR1)
        try:
            caller.wait(seconds)
        except subprocess.TimeoutExpired:
            caller.kill()
        return self.count()

    def kill(self) -> None:
        """End both."""
        for program in self._programs.values():
            program.kill()
            program.wait()

    def _start(self, name: str, port: int, rtp: int, *options: str) -> None:
        argv = ["sipp", "-sf", f"{name}.xml", "-i", "127.0.0.1", "-p", str(port), "-nostdin"]
        argv += ["-min_rtp_port", str(rtp), "-max_rtp_port", str(rtp + 1998), *options]
        with open(self._folder / f"{name}.log", "wb") as log:
            self._programs[name] = subprocess.Popen(
                argv, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        time.sleep(0.3)
        if self._programs[name].poll() is not None:
            raise RuntimeError(f"sipp ended: {(self._folder / f'{name}.log').read_text('utf-8', 'replace')}")
