"""Responses of the status server, by client and path."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import gevent
import pytest
from structlog.testing import capture_logs

from recorder import metrics, status_server
from recorder.capture import Daemon, DaemonSettings
from recorder.capture.status import StatusSources, serve
from recorder.health import HealthFinding, Readiness
from recorder.status_server import AllowedClients, StatusApp
from tests.ports import free_ports

FINE = {"disk": lambda: HealthFinding(True, "room")}
ILL = {"disk": lambda: HealthFinding(False, "full", "make room")}


def ask(
    path: str,
    checks: Any = None,
    address: str = "127.0.0.1",
    method: str = "GET",
    alive: bool = True,
    **more: str,
) -> tuple[str, dict[str, str], bytes]:
    application = StatusApp(
        metrics.WORKER,
        metrics.registry(metrics.WORKER),
        Readiness(checks or FINE),
        AllowedClients(["10.1.0.0/16", "fd00::/8"]),
        lambda: alive,
    )
    statuses: list[Any] = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "REMOTE_ADDR": address, **more}
    body = b"".join(application(environ, lambda status, headers: statuses.extend((status, dict(headers)))))  # type: ignore[arg-type]
    return statuses[0], statuses[1], body


def test_metrics_are_prometheus_text() -> None:
    status, headers, body = ask("/metrics")
    assert status == "200 OK"
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b"# TYPE accord_spool_takes gauge" in body
    assert b"accord_calls_total" not in body, "that is the daemon's to say"
    assert b"_created" not in body


@pytest.mark.parametrize(("checks", "status", "word"), [(FINE, "200 OK", "ready"), (ILL, "503", "not_ready")])
def test_readiness_names_each_check_with_a_hint(checks: Any, status: str, word: str) -> None:
    status_line, _, body = ask("/readyz", checks)
    assert status_line.startswith(status)
    bodies = json.loads(body)
    assert bodies["status"] == word
    assert bodies["checks"]["disk"].get("hint") == ("make room" if word == "not_ready" else None)


def test_stuck_loop_is_not_alive() -> None:
    assert ask("/healthz")[0] == "200 OK"
    status, _, body = ask("/healthz", alive=False)
    assert (status, json.loads(body)["status"]) == ("503 Service Unavailable", "stuck")


@pytest.mark.parametrize(
    ("address", "answered"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.1.2.3", True),
     ("fd00::1", True), ("10.2.0.1", False), ("192.0.2.1", False), ("", False), ("nonsense", False)],
)  # fmt: skip
def test_only_allowed_clients_are_served(address: str, answered: bool) -> None:
    for path in ("/metrics", "/readyz", "/healthz"):
        status, _, body = ask(path, address=address)
        assert status == ("200 OK" if answered else "403 Forbidden")
        assert answered or b"[metrics] allow" in body


@pytest.mark.parametrize("header", status_server.PROXY_HEADERS)
def test_client_behind_a_proxy_is_refused(header: str) -> None:
    assert ask("/metrics", **{header: "127.0.0.1"})[0] == "403 Forbidden"


def test_other_paths_and_methods_are_refused() -> None:
    assert ask("/")[0] == "404 Not Found"
    assert ask("/metrics", method="POST")[0] == "405 Method Not Allowed"
    status, headers, body = ask("/metrics", method="HEAD")
    assert (status, body) == ("200 OK", b"")
    assert int(headers["Content-Length"]) > 1000


def fetch(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.URLError:
        return 0


def test_occupied_port_is_logged_once_and_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_server, "RETRY_S", 0.05)
    port = free_ports()
    application = StatusApp(
        metrics.WORKER, metrics.registry(metrics.WORKER), Readiness(FINE), AllowedClients()
    )
    with capture_logs() as logs:
        with socket.create_server(("127.0.0.1", port)):
            stop = status_server.serve_in_thread(application, "127.0.0.1", port)
            deadline = time.monotonic() + 10
            while not logs:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(0.3)  # six attempts
        assert [(line["event"], line["hint"][:8]) for line in logs] == [("metrics.listen_failed", "calls co")]
    try:
        deadline = time.monotonic() + 10
        while fetch(port) != 200:
            assert time.monotonic() < deadline
    finally:
        stop()


def test_daemon_runs_with_its_port_occupied(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_server, "RETRY_S", 0.05)
    daemon = Daemon(DaemonSettings("n", tmp_path / "spool", tmp_path / "snapshot", "x"))
    port = free_ports()
    sources = StatusSources(
        daemon.calls, daemon.config, daemon.node, daemon.intake.bypassed, daemon.observer.lag
    )
    with capture_logs() as logs:
        with socket.create_server(("127.0.0.1", port)):
            greenlets = serve(sources, "127.0.0.1", port, AllowedClients())
            gevent.sleep(0.2)
            assert not any(greenlet.dead for greenlet in greenlets)
        gevent.sleep(0.2)
    # Other tests' greenlets may still log something, an answer among others.
    events = [line["event"] for line in logs if line["event"] in ("metrics.listen_failed", "metrics.served")]
    assert events == ["metrics.listen_failed", "metrics.served"]
    answer = gevent.get_hub().threadpool.spawn(fetch, port)
    assert answer.get(timeout=10) == 200
    gevent.killall(greenlets)


def test_unannounced_calls_are_reported_for_a_day(tmp_path: Any) -> None:
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    daemon = Daemon(DaemonSettings("n", tmp_path / "spool", tmp_path / "snapshot", "x"), now=lambda: now)
    sources = StatusSources(
        daemon.calls, daemon.config, daemon.node, daemon.intake.bypassed, daemon.observer.lag
    )
    assert "has passed every call on a line" in sources.readiness()()["dialplan"].what
    daemon.intake.bypassed.report("inbound", "public", "1001")
    found = sources.readiness()()["dialplan"]
    assert found.ok, "the next call may well be asked about"
    assert "connected without asking Accord: 1, the last at 2026-11-28 12:00:00 UTC" in found.what
    assert "inbound, line 1001, context 'public'" in found.what
    assert found.hint
    now += timedelta(days=1, seconds=1)
    assert not sources.readiness()()["dialplan"].hint
