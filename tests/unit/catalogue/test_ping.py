"""The check of a catalogue: a stopped server, and clocks that differ."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from recorder import metrics
from recorder.catalogue.database import database
from recorder.catalogue.ping import ping
from recorder.catalogue.schema import migrate
from recorder.catalogue.server_clock import clock_offset
from recorder.clock import utc_now
from recorder.errors import CatalogueError
from recorder.health import HealthFinding, Readiness
from recorder.metrics import WORKER
from recorder.status_server import AllowedClients, StatusApp
from tests.catalogue_template import open_catalogue
from tests.clock import MonotonicClock
from tests.postgres import Server, binaries


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of its own, to be stopped."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server is installed (postgresql)")
    server = Server()
    migrate(server.url("postgres"))
    opened = open_catalogue(server.url("postgres"))
    yield server
    opened.close_all()
    database.initialize(None)
    server.close()


def ready() -> float | None:
    return metrics.registry(WORKER).get_sample_value("accord_ready", {"check": "catalogue"})


def test_gauge_follows_the_server(server: Server) -> None:
    seconds = MonotonicClock()
    readiness = Readiness({"catalogue": ping}, limit=30.0, monotonic=seconds)
    app = StatusApp(WORKER, metrics.registry(WORKER), readiness, AllowedClients())

    def expose() -> float | None:
        seconds.at += 60
        app.expose_readiness()
        return ready()

    assert expose() == 1.0
    server.stop()
    assert expose() == 0.0
    with pytest.raises(CatalogueError):
        ping()
    server.start()
    database.obj.away_until = 0.0  # a moment later
    assert expose() == 1.0


def test_gauge_shows_the_difference_of_the_clocks(server: Server) -> None:
    assert abs(clock_offset(utc_now)) < timedelta(seconds=1)
    assert ping(lambda: utc_now() + timedelta(minutes=5)).ok, "it is reachable all the same"
    assert metrics.CLOCK_OFFSET._value.get() == pytest.approx(300, abs=1)
    assert ping(lambda: utc_now() - timedelta(seconds=30)).ok
    assert metrics.CLOCK_OFFSET._value.get() == pytest.approx(-30, abs=1)


def test_sqlite_has_no_clock_of_its_own(catalogue: str, catalogue_kind: str) -> None:
    if catalogue_kind == "sqlite":
        assert clock_offset(utc_now) == timedelta()
    assert ping() == HealthFinding(True, "the catalogue answers (revision 0 of its lines)")
