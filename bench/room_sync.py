"""How far apart listeners in one room are, measured on what they hear.

    python -m bench.room_sync [--seconds 60] [--slow] [--firefox]

Needs PulseAudio and Chromium, and Firefox for ``--firefox``, with which the third browser is one. Three
browsers, each with a sound device of its own, are in one room: the customer, the person who was recorded, and
a neutral person. What each plays is one channel of one recording, so that all have the same clock; the
channels are correlated in windows of two seconds. With ``--slow`` the third is on a slow line (80 ms and
jitter each way, 400 kbit/s, now and then 250 ms more, as when a packet is sent again) with its processor six
times slower, and comes late.
Prints JSON: the offsets from the first browser in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from bench.firefox import FirefoxPage

RATE = 16_000
EARS = 3
CHANNELS = ("front-left", "front-right", "rear-left")
WINDOW_S, STEP_S, MOST_MS = 2.0, 0.5, 1000
CLEAR = 0.6
"""The least correlation of a window that counts: in others somebody is silent, or catches up."""
TIMES = 12
"""Conversations in the call, of 22 seconds each."""


@contextmanager
def sound_server(folder: Path) -> Iterator[dict[str, str]]:
    """PulseAudio with a sink for each ear; yields the environment that leads to it."""
    socket = folder / "sound.socket"  # PulseAudio has a folder "pulse" of its own
    modules = [
        f"module-native-protocol-unix socket={socket} auth-anonymous=1",
        f"module-null-sink sink_name=ears channels={EARS} channel_map={','.join(CHANNELS)} rate=48000",
        *(
            f"module-remap-sink sink_name=ear{n} master=ears channels=1 channel_map=mono"
            f" master_channel_map={channel} remix=no"
            for n, channel in enumerate(CHANNELS)
        ),
    ]
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit"]
    environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    with open(folder / "pulse.log", "wb") as log:
        server = subprocess.Popen(
            [*command, *(part for each in modules for part in ("-L", each))], env=environment, stderr=log
        )
    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < deadline, (folder / "pulse.log").read_text()
            time.sleep(0.1)
        yield {**environment, "PULSE_SERVER": f"unix:{socket}"}
    finally:
        server.terminate()
        server.wait(10)


def run(folder: Path, seconds: float, slow: bool, firefox: bool) -> dict[str, object]:
    from playwright.sync_api import sync_playwright

    made = subprocess.run(
        [sys.executable, "-m", "tests.room_panel", "make", str(folder), "--times", str(TIMES)],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    (room,) = json.loads(made.stdout)
    with ExitStack() as stack:
        environment = stack.enter_context(sound_server(folder))
        log = stack.enter_context(open(folder / "panel.log", "wb"))
        panel = subprocess.Popen(
            [sys.executable, "-m", "tests.room_panel", "serve", str(folder)],
            stdout=subprocess.PIPE,
            stderr=log,
        )
        stack.callback(panel.wait, 20)
        stack.callback(panel.terminate)
        assert panel.stdout is not None
        home = f"http://127.0.0.1:{int(panel.stdout.readline())}"
        playwright = stack.enter_context(sync_playwright())
        pages: list[Any] = []
        for number in range(EARS - firefox):
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), headless=False,
                args=["--headless=new", "--no-sandbox", "--autoplay-policy=user-gesture-required"],
                ignore_default_args=["--mute-audio"], env={**environment, "PULSE_SINK": f"ear{number}"},
            )  # fmt: skip
            stack.callback(browser.close)
            pages.append(browser.new_context(locale="en-GB").new_page())
        if firefox:
            binary = shutil.which("firefox-esr") or shutil.which("firefox")
            assert binary is not None, "no Firefox"
            pages.append(
                FirefoxPage(binary, folder / "firefox", {**environment, "PULSE_SINK": f"ear{EARS - 1}"})
            )
            stack.callback(pages[-1].close)
        _log_in(pages[0], home, room["login"])
        homes = [home] * EARS
        if slow:
            port = home.rpartition(":")[2]
            line = subprocess.Popen(
                [sys.executable, "-m", "bench.room_sync", "--line", port], stdout=subprocess.PIPE
            )
            stack.callback(line.wait)
            stack.callback(line.kill)
            assert line.stdout is not None
            homes[2] = f"http://127.0.0.1:{int(line.stdout.readline())}"
        for page, place, (link, code) in zip(pages[1:], homes[1:], room["links"], strict=True):
            page.goto(place + link)
            page.fill("#code", code)
            page.click("button[value=accepted]")
        late = None
        present = pages[:2] if slow else pages
        for page in present:
            _enter(page, home, room["room"])
        if slow:
            session = pages[2].context.new_cdp_session(pages[2])
            session.send("Emulation.setCPUThrottlingRate", {"rate": 6})
        pages[0].click("#room-toggle")
        pages[0].wait_for_timeout(4000)
        if slow:
            pages[2].goto(f"{homes[2]}/together/{room['room']}/room")
            begin = time.monotonic()
            pages[2].click("#room-enter-button")
            _until(pages[2], "!document.getElementById('room-audio').paused")
            late = time.monotonic() - begin
        pages[0].wait_for_timeout(8000)  # until everybody has landed and corrected
        heard = _record(environment, pages[0], seconds)
    offsets = {name: _offsets(heard[:, 0], heard[:, n]) for n, name in ((1, "guest"), (2, "neutral"))}
    offsets["guest to neutral"] = _offsets(heard[:, 1], heard[:, 2])
    return {
        "slow": slow,
        "firefox": firefox,
        "late_joiner_s": None if late is None else round(late, 1),
        **{name: _summary(each) for name, each in offsets.items()},
    }


class SlowLine:
    """A proxy in a process of its own: bytes arrive in order, late, and not many a second."""

    DELAY_S, JITTER_S, RATE = 0.08, 0.02, 50_000
    LOSS, AGAIN_S = 0.02, 0.25

    def __init__(self, target: int) -> None:
        self._target = target
        self._random = random.Random(1)

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.create_task(self._send(queue, writer))
        free_at = 0.0
        while data := await reader.read(4096):
            now = time.monotonic()
            late = self.AGAIN_S if self._random.random() < self.LOSS else 0.0
            delay = self.DELAY_S + self._random.uniform(0, self.JITTER_S) + late
            free_at = max(free_at, now) + len(data) / self.RATE
            await queue.put((max(free_at, now + delay), data))
        await queue.put((0.0, b""))
        await sender

    async def _send(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while (item := await queue.get())[1]:
            await asyncio.sleep(max(0.0, item[0] - time.monotonic()))
            with suppress(ConnectionError):
                writer.write(item[1])
                await writer.drain()
        writer.close()


def _log_in(page: Any, home: str, login: str) -> None:
    from tests.house import PASSWORD

    page.goto(f"{home}/login")
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")


def _enter(page: Any, home: str, room: str) -> None:
    page.goto(f"{home}/together/{room}/room")
    page.click("#room-enter-button")
    _until(page, "document.getElementById('room-audio').readyState >= 3")


def _until(page: Any, condition: str) -> None:
    """Ask again and again: the page's own policy forbids Playwright's way of waiting."""
    deadline = time.monotonic() + 60
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


def _record(environment: dict[str, str], page: Any, seconds: float) -> np.ndarray:
    """What all ears hear, a column for each."""
    command = [
        "parec", "--device=ears.monitor", "--format=s16le", f"--rate={RATE}", f"--channels={EARS}",
        f"--channel-map={','.join(CHANNELS)}", "--raw",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as file:
        recorder = subprocess.Popen(command, env=environment, stdout=file)
        page.wait_for_timeout(seconds * 1000)  # its events go on meanwhile
        recorder.terminate()
        recorder.wait(5)
        file.seek(0)
        samples = np.frombuffer(file.read(), "<i2")
    return samples[: len(samples) // EARS * EARS].reshape(-1, EARS).astype(np.float64)


def _offsets(one: np.ndarray, other: np.ndarray) -> list[float]:
    """By how many milliseconds the other is later, in each window in which that is clear."""
    size, found = int(WINDOW_S * RATE), []
    most = MOST_MS * RATE // 1000
    for begin in range(0, len(one) - size, int(STEP_S * RATE)):
        a, b = one[begin : begin + size], other[begin : begin + size]
        norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
        if norm < 1e6:
            continue
        spectrum = np.fft.rfft(b, 2 * size) * np.conj(np.fft.rfft(a, 2 * size))
        correlation = np.fft.irfft(spectrum)
        near = np.concatenate([correlation[-most:], correlation[: most + 1]])
        peak = int(np.argmax(near))
        if near[peak] / norm >= CLEAR:
            found.append((peak - most) * 1000 / RATE)
    return found


def _summary(offsets: list[float]) -> dict[str, object]:
    sizes = sorted(abs(each) for each in offsets)
    if not sizes:
        return {"windows": 0}
    return {
        "windows": len(sizes),
        "median_ms": round(statistics.median(sizes), 1),
        "p95_ms": round(sizes[min(len(sizes) - 1, int(len(sizes) * 0.95))], 1),
        "most_ms": round(sizes[-1], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--firefox", action="store_true")
    parser.add_argument("--line", type=int)
    options = parser.parse_args()
    if options.line:
        asyncio.run(SlowLine(options.line).serve())
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(Path(folder), options.seconds, options.slow, options.firefox), indent=2))


if __name__ == "__main__":
    main()
