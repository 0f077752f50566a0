"""A running installation on the practice switch, with users and a store that starts late, and a real
Prometheus that scrapes it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import yaml

from demo import run
from recorder import config
from recorder.catalogue import queries
from recorder.catalogue.database import database
from recorder.clock import utc_now
from recorder.ids import uuid7
from recorder.processes import object_store
from recorder.processes.run import programs as programs_of
from recorder.processes.services import Context
from tests.processes import Installation, Ports, supervised
from tests.prometheus import pages
from tests.waiting import until

JOBS = {"accord-daemon": "daemon", "accord-worker": "worker", "accord-web": "web"}


def get(address: str, timeout: float = 10) -> tuple[int, str]:
    """Status and text; status 0 if nobody answers."""
    try:
        with urllib.request.urlopen(address, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@dataclass
class ScrapedNode(Installation):
    """The processes and their ports. The store is started separately (:attr:`store`)."""

    ports: Ports = field(default_factory=lambda: Ports.reserve(spare=1))
    worker_environment: dict[str, str] = field(default_factory=dict)
    """Further variables of the worker alone."""

    def __post_init__(self) -> None:
        self.settings = {
            **self.ports.settings,
            "ACCORD_NODE_NAME": "n1",
            "ACCORD_NODE_REGION": "BE",
            "ACCORD_STORE_KIND": "s3",
            "ACCORD_STORE_EMBEDDED": "true",
            **self.settings,
        }
        environment = self.environment()
        self.context = Context(config.load(None, environment), None)
        self.tenant, self.password = run.prepare(self.context, self.folder)
        self.store = object_store.embedded(self.context.settings)
        self.store.prepare()
        if self.context.settings.store.kind == "directory":
            object_store.directory(self.context.settings).init()
        programs = [each for each in programs_of(self.context, environment) if each.name != "store"]
        programs = [
            replace(each, environment={**(each.environment or {}), **self.worker_environment})
            if each.name == "worker"
            else each
            for each in programs
        ]
        self._programs = [run._logged(each, self.folder) for each in programs]
        self._processes = ExitStack()

    def run(self) -> None:
        """Run all but the store and the switch until :meth:`close`."""
        self.supervisor = self._processes.enter_context(supervised(self._programs, self.environment()))
        for port in (self.ports.daemon, self.ports.worker, self.ports.web, self.ports.panel):
            until(f"port {port} answers", lambda port=port: get(self.at(port, "healthz"))[0] == 200)

    def call(self) -> None:
        """Start a practice switch with two calls; in the first, the colleague asks whether to keep it."""
        calls = ("--call=+3225550101:fr:agrees", "--call=+3225550102:en")
        self.start_switch(self.ports, *calls)

    def close(self) -> None:
        super().close()
        self._processes.close()
        self.store.stop(seconds=0)
        getattr(database.obj, "close_all", database.obj.close)()

    def at(self, port: int, path: str) -> str:
        return f"http://127.0.0.1:{port}/{path}"

    def port_of(self, job: str) -> int:
        ports = self.ports
        return {"accord-daemon": ports.daemon, "accord-worker": ports.worker, "accord-web": ports.panel}[job]

    def number(self, port: int, line: str) -> float:
        """The value of a sample on a process's page, by its name and labels; 0 if it is missing."""
        found = re.search(rf"^{re.escape(line)} (\S+)$", get(self.at(port, "metrics"))[1], re.MULTILINE)
        return float(found[1]) if found else 0.0

    def ready(self, port: int) -> tuple[int, dict[str, Any], float]:
        """Status and body of ``/readyz``, and the seconds that it took."""
        start = time.monotonic()
        status, text = get(self.at(port, "readyz"))
        return status, json.loads(text), time.monotonic() - start

    def recordings(self) -> list[str]:
        return [row.id for row in queries.recordings(self.tenant, limit=50).rows]

    def put_broken_take(self) -> None:
        """Put a take that can never become a recording, as its call is unreadable."""
        folder = self.context.settings.node.spool_folder / str(uuid7(utc_now()))
        folder.mkdir(mode=0o2770)
        for name in ("call.json", "take.json"):
            (folder / name).write_text("{")

    @contextlib.contextmanager
    def stopped_store(self) -> Iterator[None]:
        """Stop the store: it accepts connections but does not answer."""
        pid = self.store.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


class Person:
    """A user of the panel."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def open(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, text and final URL."""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        try:
            with self._browser.open(self._address + path, data, timeout=60) as answer:
                return answer.status, answer.read().decode("utf-8", "replace"), answer.url
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.url or ""

    def send(self, path: str, page: str, **fields: str) -> tuple[int, str, str]:
        """Submit the form of a page."""
        token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', self.open(page)[1])
        assert token is not None
        return self.open(path, {"csrf_token": token[1], **fields})


class Prometheus:
    """A real Prometheus with the shipped rules and scrape configuration; if ``quick``, at intervals of one
    second."""

    def __init__(self, folder: Path, node: ScrapedNode, *, quick: bool = True) -> None:
        configuration = yaml.safe_load((pages.RULES.parent / "prometheus.yml").read_text("utf-8"))
        if quick:
            configuration["global"] = {
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
            }
        configuration["rule_files"] = [str(pages.RULES)]
        for job in configuration["scrape_configs"]:
            targets = [f"127.0.0.1:{node.port_of(job['job_name'])}"]
            job["static_configs"] = [{"targets": targets, "labels": {"node": "n1"}}]
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        self._folder = folder
        self._address = f"127.0.0.1:{node.ports.spare}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self._folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["prometheus", f"--config.file={self._folder}/prometheus.yml", "--log.level=warn",
                 f"--storage.tsdb.path={self._folder}/data", f"--web.listen-address={self._address}"],
                stdout=log, stderr=log,
            )  # fmt: skip
        until("Prometheus is ready", lambda: get(f"http://{self._address}/-/ready")[0] == 200)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def api(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        status, text = get(f"http://{self._address}/api/v1/{path}?{query}")
        assert status == 200, text
        return json.loads(text)["data"]

    def values(self, expression: str, over: float = 600) -> list[float]:
        """The finite values of a query in the last minutes."""
        now = time.time()
        found = self.api("query_range", query=expression, start=str(now - over), end=str(now), step="5")
        values = [float(value) for series in found["result"] for _, value in series["values"]]
        return [value for value in values if math.isfinite(value)]
