"""The panel in its own process: graceful stop, and password hashing that does not block it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.house import House

ROOT = Path(__file__).parents[3]
KIND = {"Content-Type": "application/x-www-form-urlencoded"}


class Served:
    def __init__(self, folder: Path, *limit: str) -> None:
        self.folder = folder
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.unit.web.served", str(folder), *limit],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 30
        while not (folder / "port").exists() or not (folder / "port").read_text().endswith("\n"):
            assert self.process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "it never listened"
            time.sleep(0.05)
        self.port = int((folder / "port").read_text())

    def get(self, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path)
        return connection.getresponse()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.close()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_response_in_progress_is_finished_on_stop(served, number):
    answer = served.get("/slow")
    assert answer.read(100) == b"." * 100
    served.process.send_signal(number)
    assert len(answer.read()) == 900
    assert served.process.wait(15) == 0
    with pytest.raises(ConnectionRefusedError):
        served.get("/healthz")


@pytest.mark.long
def test_unfinished_request_is_answered_503_on_stop(served):
    """The store hangs and a second signal arrives: a 503 in the user's language, not a 500."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("GET", "/long", headers={"Accept-Language": "fr"})
    deadline = time.monotonic() + 20
    while not (served.folder / "asked").exists():
        assert time.monotonic() < deadline, "it never came to the view"
        time.sleep(0.01)
    served.process.terminate()
    while _listens(served):
        assert time.monotonic() < deadline, "it never closed its door"
    served.process.terminate()
    answer = connection.getresponse()
    page = answer.read().decode()
    assert answer.status == 503, page
    assert "Rien n’est perdu" in page
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert served.process.wait(15) == 0
    log = (served.folder / "log").read_text()
    assert "web.ended_early" in log
    assert "Traceback" not in log


def _listens(served: Served) -> bool:
    try:
        served.get("/healthz")
    except OSError:
        return False
    return True


@pytest.mark.long
def test_idle_connections_do_not_delay_the_stop(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("GET", "/healthz")
    assert json.loads(connection.getresponse().read())["status"] == "ok"
    start = time.monotonic()
    served.process.terminate()
    assert served.process.wait(15) == 0
    assert time.monotonic() - start < 5
    connection.close()


@pytest.mark.long
def test_password_hashing_does_not_block_other_requests(served):
    """Ten parallel log-ins take over a second of hashing; other responses stay immediate."""

    def log_in(statuses: list[int]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        connection.request("GET", "/login")
        page = connection.getresponse()
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        token = re.search(rb'name="csrf_token"[^>]* value="([^"]+)"', page.read()).group(1).decode()
        form = urlencode({"csrf_token": token, "login": "nobody", "password": "wrong"})
        connection.request("POST", "/login", form, {"Cookie": cookie, **KIND})
        statuses.append(connection.getresponse().status)

    statuses: list[int] = []
    people = [threading.Thread(target=log_in, args=(statuses,)) for _ in range(10)]
    start = time.monotonic()
    for one in people:
        one.start()
    slowest, answers = 0.0, 0
    while any(one.is_alive() for one in people):
        request_start = time.monotonic()
        served.get("/healthz").read()
        slowest, answers = max(slowest, time.monotonic() - request_start), answers + 1
    hash_time = time.monotonic() - start
    assert sorted(statuses) == [422] * 10
    assert answers > 10
    assert slowest < hash_time / 2, (slowest, hash_time)


def test_damaged_block_aborts_the_connection(tmp_path, clock, entropy):
    """The client receives fewer bytes than announced, and the connection is closed."""
    from datetime import UTC, datetime

    start = datetime.now(UTC)
    house = House(tmp_path, lambda: start, entropy)
    bakery = house.customer("Boulangerie Martin", "+3225550100")
    house.person(bakery, "claire", "Claire")
    recording = house.call(bakery, times=6)
    file = house.stored(recording, "audio.wav")
    content = bytearray(file.read_bytes())
    content[40 * 65_536 + 5] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
    house.close()
    served = Served(tmp_path)
    try:
        from bench.play import Client, player

        client = Client(served.port, {})
        sound = player(client, recording)
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        connection.request("GET", sound, headers=client.headers)
        answer = connection.getresponse()
        promised = int(answer.headers["Content-Length"])
        assert promised > 41 * 65_536
        with pytest.raises(http.client.IncompleteRead) as cut:
            answer.read()
        assert 0 < len(cut.value.partial) <= 40 * 65_536
    finally:
        served.close()
    assert b"Traceback" not in (tmp_path / "log").read_bytes(), "it is told in a line, not in a trace"
