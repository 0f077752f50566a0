"""A process's status over HTTP: ``/metrics``, ``/healthz``, ``/readyz``.

:class:`StatusApp` is the WSGI application; the daemon serves it from its hub, worker and panel from threads
(:func:`serve_in_thread`). Only clients on loopback and in ``[metrics] allow`` are served. An occupied port is
retried and never stops a process: calls come first.
"""

from __future__ import annotations

import ipaddress
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import CollectorRegistry, generate_latest

from recorder import __version__, metrics
from recorder.fault_log import FaultLog
from recorder.health import HealthFinding, Readiness

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

log = structlog.get_logger()

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
RETRY_S: Final = 30.0
"""Seconds until an occupied port is tried again."""

PROXY_HEADERS: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")
"""Headers that a proxy adds: the address is then the proxy's, not the client's."""

CHECK_INTERVAL: Final = 1.0
"""Seconds between two looks at the checks, whose findings are used again for a while."""

REQUEST_TIMEOUT_S: Final = 10.0
"""Seconds that a client may take to send its request."""


class AllowedClients:
    """Clients that are served: on loopback, or in one of ``networks`` (``10.1.0.0/16``). Raises
    ``ValueError``."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = [ipaddress.ip_network(each) for each in networks]

    def __contains__(self, environ: object) -> bool:
        """Whether a request (its WSGI environment) comes from such a client, without a proxy."""
        if not isinstance(environ, dict) or any(environ.get(name) for name in PROXY_HEADERS):
            return False
        try:
            address = ipaddress.ip_address(environ.get("REMOTE_ADDR", ""))
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address.is_loopback or any(address in network for network in self._networks)


@dataclass(eq=False, repr=False)
class StatusApp:
    """The WSGI application of one process. ``alive`` returns whether its main loop still runs."""

    process: str
    registry: CollectorRegistry
    readiness: Readiness
    neighbours: AllowedClients
    alive: Callable[[], bool] = lambda: True

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            status, kind, body = self._answer(environ)
        except Exception:
            # Only this response fails; the process continues.
            metrics.UNHANDLED_ERRORS.inc()
            log.exception("metrics.failed", path=environ.get("PATH_INFO"))
            status, kind, body = "500 Internal Server Error", TEXT, b"see the process's log\n"
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def expose_readiness(self) -> None:
        """Show each check as a gauge; call it repeatedly. A scrape does not wait for a check that hangs."""
        for name, finding in self.readiness().items():
            metrics.READY.labels(name).set(finding.ok)

    def _answer(self, environ: WSGIEnvironment) -> tuple[str, str, bytes]:
        if environ not in self.neighbours:
            return "403 Forbidden", TEXT, b"this address is not allowed: see [metrics] allow\n"
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return "405 Method Not Allowed", TEXT, b"only GET and HEAD\n"
        match environ.get("PATH_INFO"):
            case "/metrics":
                return "200 OK", TEXT, generate_latest(self.registry)
            case "/healthz":
                return _json(self.alive(), health(self.process, self.alive()))
            case "/readyz":
                findings = self.readiness()
                return _json(all(each.ok for each in findings.values()), readiness(self.process, findings))
        return "404 Not Found", TEXT, b"/metrics, /healthz, /readyz\n"


def health(process: str, alive: bool) -> dict[str, object]:
    """The body of ``/healthz``."""
    return {"status": "ok" if alive else "stuck", "process": process, "version": __version__}


def readiness(process: str, findings: Mapping[str, HealthFinding]) -> dict[str, object]:
    """The body of ``/readyz``: every check by name, and what to do about unhealthy ones."""
    ready = all(each.ok for each in findings.values())
    return {
        "status": "ready" if ready else "not_ready",
        "process": process,
        "checks": {name: each.body() for name, each in findings.items()},
    }


def _json(good: bool, body: Mapping[str, object]) -> tuple[str, str, bytes]:
    status = "200 OK" if good else "503 Service Unavailable"
    return status, "application/json", json.dumps(body, indent=1).encode() + b"\n"


def report_listen_failure(faults: FaultLog, host: str, port: int, error: OSError) -> None:
    """Log that the status cannot be served."""
    faults.report(
        "metrics.listen_failed",
        error,
        level="error",
        address=f"{host}:{port}",
        hint="calls continue; another process uses the port: set another port or host in section [metrics]",
    )


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def address_string(self) -> str:  # no name look-ups
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("metrics.request", said=format % args)


def serve_in_thread(application: StatusApp, host: str, port: int) -> Callable[[], None]:
    """Serve from a thread; returns the function that stops it. ``port`` 0 serves nothing."""
    stop = threading.Event()

    def serve() -> None:
        faults = FaultLog()
        while not stop.is_set():
            try:
                server = make_server(host, port, application, server_class=_Server, handler_class=_Handler)
            except OSError as error:
                report_listen_failure(faults, host, port, error)
                stop.wait(RETRY_S)
                continue
            faults.recover("metrics.listen_failed")
            log.info("metrics.served", address=f"{host}:{port}")
            server.timeout = 0.5
            with server:
                while not stop.is_set():
                    server.handle_request()

    def keep_checking() -> None:
        while not stop.wait(CHECK_INTERVAL):
            application.expose_readiness()

    if port:
        threading.Thread(target=serve, name="metrics", daemon=True).start()
        threading.Thread(target=keep_checking, name="readiness", daemon=True).start()
    return stop.set
