"""Rooms of three listeners: what a panel process spends on them, and how soon a command reaches the others.

    python -m bench.rooms [--rooms 10 25 50 100] [--seconds 30] [--postgresql]

In each room three people follow the stream of events as the page does, with its pings and reports; every few
seconds one of them plays, pauses or seeks. Sound is not requested: ``bench.play`` measures that. The delay is
from sending a command until its event has arrived at each of the other two; it takes effect 350 ms after the
server has it. All run on one machine, so a part of its two cores drives the listeners. Prints JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PANEL = (sys.executable, "-m", "tests.room_panel")
PEOPLE = 3
COMMAND_S = 4.0
"""Seconds between two commands in a room."""
PING_S, PRESENCE_S = 2.5, 10.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Listener:
    """Somebody in a room: their cookies and form token, and when each state of the room arrived."""

    port: int
    address: str
    room: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    arrivals: dict[int, float] = field(default_factory=dict)
    seq: int = 0
    late: int = 0

    def request(self, path: str, form: Mapping[str, str] | None = None) -> tuple[int, str]:
        """The status and text of an answer, on a connection of its own as behind a proxy."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            answer = self._send(connection, path, form)
            text = answer.read().decode()
            for line in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            return answer.status, text
        finally:
            connection.close()

    def _send(
        self, connection: http.client.HTTPConnection, path: str, form: Mapping[str, str] | None
    ) -> http.client.HTTPResponse:
        from urllib.parse import urlencode

        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies, "X-Forwarded-For": self.address}
        if form is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "X-CSRFToken": self.token}
            headers["Accept"] = "application/json"
        body = None if form is None else urlencode(form)
        connection.request("GET" if form is None else "POST", path, body, headers)
        return connection.getresponse()

    def log_in(self, login: str) -> None:
        from tests.house import PASSWORD

        _, text = self.request("/login")
        form = {"csrf_token": _token(text), "login": login, "password": PASSWORD}
        self.token = form["csrf_token"]
        assert self.request("/login", form)[0] == 303
        self.token = _token(self.request(f"/together/{self.room}")[1])

    def enter(self, link: str, code: str) -> None:
        """Accept an invitation."""
        _, text = self.request(link)
        self.token = _token(text)
        status, text = self.request(link, {"answer": "accepted", "code": code, "csrf_token": self.token})
        assert status == 303, text
        _, text = self.request("/together/welcome")
        self.token = _token(text)

    def follow(self) -> None:
        """Read the stream of events for good."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        answer = self._send(connection, f"/together/{self.room}/events", None)
        assert answer.status == 200, answer.status
        while line := answer.fp.readline():
            if not line.startswith(b'data: {"'):
                continue
            state = json.loads(line[6:])
            if state["seq"] not in self.arrivals:
                self.arrivals[state["seq"]] = time.perf_counter()
            self.seq = max(self.seq, state["seq"])


def _token(text: str) -> str:
    return str(re.findall(r'name="csrf_token"[^>]* value="([^"]+)"', text)[0])


@dataclass(frozen=True)
class Usage:
    """What a process has used: CPU in seconds, and memory (PSS) in MiB."""

    cpu: float
    memory: float


def usage_of(pid: int) -> Usage:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    memory = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    assert memory is not None
    return Usage((int(stat[11]) + int(stat[12])) / TICKS, int(memory[1]) / 1024)


class Driver:
    """Rooms that are in use, more and more of them, and the delays of their commands in milliseconds."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.rooms: list[list[Listener]] = []
        self.delays: list[float] = []
        self.refused = 0

    def open(self, room: Mapping[str, Any]) -> None:
        """Let three people into a room."""
        import gevent

        number = len(self.rooms)
        people = [Listener(self.port, f"10.1.{number}.{each}", room["room"]) for each in range(PEOPLE)]
        people[0].log_in(room["login"])
        for person, (link, code) in zip(people[1:], room["links"], strict=True):
            person.enter(link, code)
        self.rooms.append(people)
        for person in people:
            gevent.spawn(person.follow)
            gevent.spawn_later(random.random() * PING_S, self._ping, person)
            gevent.spawn_later(random.random(), self._report, person)
        gevent.spawn_later(random.random() * COMMAND_S, self._command, people)

    def _ping(self, person: Listener) -> None:
        import gevent

        while True:
            person.request("/together/clock")
            gevent.sleep(PING_S)

    def _report(self, person: Listener) -> None:
        import gevent

        while True:
            person.request(f"/together/{person.room}/presence", {"ready": "yes"})
            gevent.sleep(PRESENCE_S)

    def _command(self, people: list[Listener]) -> None:
        import gevent

        actions = ({"action": "play"}, {"action": "seek", "position": "500"}, {"action": "pause"})
        number = 0
        while True:
            gevent.sleep(COMMAND_S)
            lead = people[0]
            form = actions[number % len(actions)] | {"seq": str(lead.seq)}
            number, expected, begin = number + 1, lead.seq + 1, time.perf_counter()
            status, _ = lead.request(f"/together/{lead.room}/command", form)
            if status != 200:
                self.refused += 1
                continue
            deadline = time.perf_counter() + 10
            while any(expected not in each.arrivals for each in people[1:]):
                if time.perf_counter() > deadline:
                    self.refused += 1
                    break
                gevent.sleep(0.002)
            else:
                latest = max(each.arrivals[expected] for each in people[1:])
                self.delays.append((latest - begin) * 1000)


def run(folder: Path, url: str, counts: list[int], seconds: float) -> list[dict[str, Any]]:
    import gevent

    made = subprocess.run(
        [*PANEL, "make", str(folder), "--url", url, "--rooms", str(max(counts))],
        stdout=subprocess.PIPE,
        check=True,
    )
    rooms = json.loads(made.stdout)
    with open(folder / "panel.log", "wb") as log:
        panel = subprocess.Popen(
            [*PANEL, "serve", str(folder), "--url", url],
            stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    try:
        assert panel.stdout is not None
        port = int(panel.stdout.readline())
        driver, found = Driver(port), list[dict[str, Any]]()
        for count in counts:
            for room in rooms[len(driver.rooms) : count]:
                driver.open(room)
            gevent.sleep(2 * COMMAND_S)  # until everything goes at its pace
            driver.delays.clear()
            driver.refused, before, begin = 0, usage_of(panel.pid), time.perf_counter()
            gevent.sleep(seconds)
            after, elapsed = usage_of(panel.pid), time.perf_counter() - begin
            delays = sorted(driver.delays)
            more = (after.memory - found[-1]["memory_mib"]) / (count - found[-1]["rooms"]) if found else None
            found.append(
                {
                    "rooms": count,
                    "listeners": count * PEOPLE,
                    "commands": len(delays),
                    "failed": driver.refused,
                    "delay_ms_median": round(statistics.median(delays), 1) if delays else None,
                    "delay_ms_p95": round(delays[int(len(delays) * 0.95)], 1) if delays else None,
                    "cpu_of_one_core": round((after.cpu - before.cpu) / elapsed, 3),
                    "cpu_ms_a_second_and_room": round((after.cpu - before.cpu) / elapsed / count * 1000, 2),
                    "memory_mib": round(after.memory, 1),
                    "memory_kib_a_further_room": None if more is None else round(more * 1024),
                }
            )
            print(found[-1], file=sys.stderr, flush=True)
        return found
    finally:
        panel.terminate()
        panel.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rooms", type=int, nargs="+", default=[10, 25, 50, 100])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    from gevent import monkey

    monkey.patch_all()
    with ExitStack() as stack:
        folder, url = stack.enter_context(tempfile.TemporaryDirectory()), ""
        if options.postgresql:
            from tests.postgres import Server

            server = Server()
            stack.callback(server.close)
            url = stack.enter_context(server.database())
        found = run(Path(folder), url, options.rooms, options.seconds)
    catalogue = "PostgreSQL" if options.postgresql else "SQLite"
    print(json.dumps({"cpu": platform.processor(), "catalogue": catalogue, "results": found}, indent=2))


if __name__ == "__main__":
    main()
