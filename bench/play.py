"""Playback through the panel, gated and decrypted, beside a presigned GET from the same server.

    python -m bench.play [--minutes 9] [--rounds 15]

Both use one kept connection on loopback: to the panel as it is served (gevent, a log-in, a grant, the audit
log, every block compared with the seal and decrypted), and to SeaweedFS itself for the same plain bytes.
SeaweedFS compresses WAV, and decompression takes time; so the same number of random bytes is requested as
well (``RANDOM``), as from a store that compresses nothing. The first byte, the whole sound, and the first
byte after a seek into its middle are measured. Rounds alternate; figures are
medians. Prints JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

MIB = 1024 * 1024
NAME = "audio.wav"
ACCORD, PLAIN, RANDOM = "accord", "presigned GET", "presigned GET of random bytes"


@dataclass(frozen=True)
class Answer:
    """Seconds until the first byte of the body and until the last, and the number of bytes."""

    first: float
    all: float
    length: int


class Client:
    """One kept connection, and the headers to send with each request."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = dict(headers)

    def get(self, path: str, seek: int | None = None) -> Answer:
        headers = self.headers | ({} if seek is None else {"Range": f"bytes={seek}-{seek + 65535}"})
        start = time.perf_counter()
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        assert answer.status == (200 if seek is None else 206), answer.status
        length, first = 0, 0.0
        while piece := answer.read1(65536):
            first = first or time.perf_counter() - start
            length += len(piece)
        elapsed = time.perf_counter() - start
        answer.read()  # read1 does not notice the end, and the connection is reused
        return Answer(first, elapsed, length)

    def page(self, path: str, form: Mapping[str, str] | None = None) -> tuple[str, str]:
        """The final address of a page, and its text; keeps cookies."""
        body = urlencode(form) if form is not None else None
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        self._connection.request("GET" if form is None else "POST", path, body, self.headers | kind)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        assert answer.status < 400, (answer.status, text)
        cookies = dict(pair.split("=", 1) for pair in self.headers.get("Cookie", "").split("; ") if pair)
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            cookies[name] = value
        self.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return answer.headers.get("Location", path), text


def player(client: Client, recording: str) -> str:
    """Log in, choose the purpose, and return the address of the sound on the player's page."""
    from tests.house import PASSWORD

    def token(text: str) -> str:
        return str(re.findall(r'name="csrf_token"[^>]* value="([^"]+)"', text)[0])

    _, text = client.page("/login")
    client.page("/login", {"csrf_token": token(text), "login": "claire", "password": PASSWORD})
    address = f"/recordings/{quote(recording)}"
    _, text = client.page(address)
    where, _ = client.page(address, {"csrf_token": token(text), "purpose": "agreement"})
    _, text = client.page(urlsplit(where).path)
    found: list[str] = re.findall(rf'src="([^"]+/{re.escape(NAME)}\?[^"]+)"', text)
    return found[0].replace("&amp;", "&")


def serve_panel(folder: Path, port: int) -> None:
    """The panel's process: the installation that :func:`main` made, as it is served."""
    from gevent import monkey

    monkey.patch_all()
    import structlog

    from recorder.clock import utc_now
    from recorder.store.s3 import S3Store
    from recorder.store.seaweedfs import SeaweedFS
    from tests.house import House
    from web import WebConfig, create_app, serve
    from web.state import PanelState

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    store = S3Store(SeaweedFS(folder / "seaweedfs", port).bucket())
    house = House(folder, utc_now, os.urandom, store)
    app = create_app(PanelState(WebConfig(b"b" * 32, secure_cookies=False), gate=house.gate))
    serve(app, "127.0.0.1", 0, ready=lambda bound_port: print(bound_port, flush=True))


def run(folder: Path, minutes: float, rounds: int) -> dict[str, object]:
    from recorder.clock import utc_now
    from recorder.store.s3 import S3Store
    from recorder.store.s3_client import connect
    from recorder.store.seaweedfs import PORTS, SeaweedFS
    from tests.house import House, conversation
    from tests.ports import free_ports

    port = free_ports(PORTS)
    server = SeaweedFS(folder / "seaweedfs", port)
    server.start()
    panel: subprocess.Popen[bytes] | None = None
    try:
        house = House(folder, utc_now, os.urandom, S3Store(server.bucket()))
        customer = house.customer("Bench", "+3225550100")
        house.person(customer, "claire", "Claire")
        times = max(1, round(minutes * 60 / 22.4))
        recording = house.call(customer, times=times, at=utc_now() - timedelta(minutes=minutes + 1))
        house.close()
        plain = conversation("fr", times, True)
        s3 = connect(server.bucket())
        s3.put_object(Bucket="accord", Key="bench/plain", Body=plain)
        s3.put_object(Bucket="accord", Key="bench/random", Body=os.urandom(len(plain)))
        urls = [
            urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": "accord", "Key": key}))
            for key in ("bench/plain", "bench/random")
        ]
        with open(folder / "panel.log", "wb") as log:
            panel = subprocess.Popen(
                [sys.executable, "-m", "bench.play", "--serve", str(folder), str(port)],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert panel.stdout is not None
        line = panel.stdout.readline()
        assert line, (folder / "panel.log").read_text()
        gated = Client(int(line), {})
        sound = player(gated, recording)
        direct = Client(port, {})
        rivals = [(direct, f"{url.path}?{url.query}") for url in urls]
        ways = dict(zip((ACCORD, PLAIN, RANDOM), ((gated, sound), *rivals), strict=True))
        return compare(ways, len(plain), rounds)
    finally:
        if panel is not None:
            panel.terminate()
            panel.wait(20)
        server.stop(seconds=0)


def compare(ways: Mapping[str, tuple[Client, str]], length: int, rounds: int) -> dict[str, object]:
    """All variants by turns, after one round that does not count."""
    whole: dict[str, list[Answer]] = {name: [] for name in ways}
    seeks: dict[str, list[Answer]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (client, path) in ways.items():
            seek = (length // 2 + number * 100_003) % (length - 65536)
            answers = client.get(path), client.get(path, seek)
            assert answers[0].length == length, (name, answers[0].length, length)
            if number:
                whole[name].append(answers[0])
                seeks[name].append(answers[1])

    def side_by_side(found: Mapping[str, float], digits: int) -> dict[str, float]:
        return {name: round(value, digits) for name, value in found.items()}

    first = {name: statistics.median(one.first for one in all_) * 1000 for name, all_ in whole.items()}
    sought = {name: statistics.median(one.first for one in all_) * 1000 for name, all_ in seeks.items()}
    rate = {name: length / MIB / statistics.median(one.all for one in all_) for name, all_ in whole.items()}
    return {
        "mib": round(length / MIB, 1),
        "rounds": rounds,
        "first_byte_ms": side_by_side(first, 1),
        "first_byte_ratio": round(first[ACCORD] / first[PLAIN], 2),
        "seek_first_byte_ms": side_by_side(sought, 1),
        "seek_first_byte_ratio": round(sought[ACCORD] / sought[PLAIN], 2),
        "throughput_mib_s": side_by_side(rate, 0),
        "throughput_ratio": round(rate[ACCORD] / rate[PLAIN], 2),
        "times_faster_than_listening": round(rate[ACCORD] * MIB / 32_000),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--serve", nargs=2, metavar=("FOLDER", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_panel(Path(options.serve[0]), int(options.serve[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        result = run(Path(name), options.minutes, options.rounds)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({"bench": "a play", "machine": machine, **result}, indent=1))


if __name__ == "__main__":
    main()
