"""Events are counted once, under the right name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from recorder import metrics
from recorder.catalogue import tenant_queries
from recorder.catalogue.database import connected, open_catalogue
from recorder.errors import CatalogueError, StoreError
from recorder.health import Readiness
from recorder.status_server import AllowedClients, StatusApp
from recorder.store.contract import Conflict, NotFound, Unreachable
from recorder.store.directory import DirectoryStore
from recorder.store.retry import with_retries
from tests.lost_frames import lose_frames

Counted = Callable[..., float]


@pytest.fixture
def counted() -> Counted:
    """The increase of a metric since the test began."""
    registry = metrics.registry(metrics.WORKER)
    before: dict[tuple[str, str], float] = {
        (sample.name, str(sorted(sample.labels.items()))): sample.value
        for family in registry.collect()
        for sample in family.samples
    }

    def growth(name: str, **labels: str) -> float:
        now = registry.get_sample_value(name, labels) or 0.0
        return now - before.get((name, str(sorted(labels.items()))), 0.0)

    return growth


class FailingStore:
    """A store whose puts fail a number of times, and whose reads raise a given error."""

    def __init__(self, store: DirectoryStore, failures: int, error: StoreError) -> None:
        self._store, self.failures, self._error = store, failures, error

    def put(self, key: str, path: Path, sha256: str, *, locked_until=None) -> None:
        if self.failures:
            self.failures -= 1
            raise self._error

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        raise self._error


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"." * 1000)
    return path


def test_each_failed_attempt_is_counted(file: Path, counted: Counted) -> None:
    failing_store = FailingStore(DirectoryStore(file.parent), 2, Unreachable("store.busy", "busy", ""))
    with_retries(failing_store, sleep=lambda _s: None).put("a/b", file, "")  # type: ignore[arg-type]
    assert counted("accord_store_errors_total", operation="put", kind="away") == 2
    assert counted("accord_store_retries_total", operation="put") == 2
    assert counted("accord_store_operation_duration_seconds_count", operation="put") == 3
    assert counted("accord_store_written_bytes_total") == 1000


@pytest.mark.parametrize(
    ("error", "kind"), [(Conflict, "conflict"), (StoreError, "refused"), (Unreachable, "away")]
)
def test_store_errors_are_counted_by_kind(
    file: Path, counted: Counted, error: type[StoreError], kind: str
) -> None:
    failing_store = FailingStore(DirectoryStore(file.parent), 99, error("store.some", "some", ""))
    with pytest.raises(error):
        with_retries(failing_store, sleep=lambda _s: None, attempts=1).put("a/b", file, "")  # type: ignore[arg-type]
    assert {
        each: counted("accord_store_errors_total", operation="put", kind=each) for each in metrics.STORE_KINDS
    } == {each: float(each == kind) for each in metrics.STORE_KINDS}
    assert counted("accord_store_written_bytes_total") == 0


def test_missing_object_is_no_error(file: Path, counted: Counted) -> None:
    failing_store = FailingStore(DirectoryStore(file.parent), 1, NotFound("store.not_found", "none", ""))
    with pytest.raises(NotFound):
        with_retries(failing_store).read("a/b")  # type: ignore[arg-type]
    assert not any(
        counted("accord_store_errors_total", operation="read", kind=kind) for kind in metrics.STORE_KINDS
    )


def test_unavailable_catalogue_is_counted_once(tmp_path: Path, catalogue: str, counted: Counted) -> None:
    opened = open_catalogue(f"sqlite:///{tmp_path}/nowhere/catalogue.db")
    with pytest.raises(CatalogueError), connected():
        tenant_queries.all_tenants()
    assert counted("accord_catalogue_errors_total", kind="away") == 1
    opened.close()
    open_catalogue(catalogue)


def test_takes_are_counted_by_outcome(house, counted: Counted) -> None:
    house.work(house.take())
    house.work(house.take(announced=False))
    house.work(house.unrecorded())
    damaged = house.take()
    (damaged / "call.json").write_text("{")
    house.work(damaged)
    growth = {
        each: counted("accord_takes_total", outcome=each) for each in ("stored", "noted", "quarantined")
    }
    assert growth == {"stored": 2, "noted": 1, "quarantined": 1}
    assert counted("accord_takes_unannounced_total", reason="not_found_in_audio") == 1
    assert counted("accord_takes_unannounced_total", reason="not_finished") == 0


def test_duration_mismatch_is_counted_and_logged(house, counted: Counted) -> None:
    """1.5 s of 30 are missing in the middle, too little to count as a missing end."""
    whole, short = house.take(talk_ms=30_000), house.take(talk_ms=30_000)
    lose_frames(short / "audio.wav", 1500)
    with capture_logs() as logs:
        house.work(whole)
        house.work(short)
    assert counted("accord_takes_duration_mismatch_total", sound="shorter") == 1
    assert counted("accord_takes_duration_mismatch_total", sound="longer") == 0
    (mismatch,) = [entry for entry in logs if entry["event"] == "take.duration_mismatch"]
    assert mismatch["recording"] == short.name
    assert mismatch["log_level"] == "warning"
    assert abs(mismatch["shorter_ms"] - 1500) < 10


def test_failed_page_is_counted(counted: Counted) -> None:
    class BrokenApp:
        def collect(self) -> None:
            raise ZeroDivisionError

    application = StatusApp("worker", BrokenApp(), Readiness({}), AllowedClients())  # type: ignore[arg-type]
    statuses: list[str] = []
    environ = {"PATH_INFO": "/metrics", "REQUEST_METHOD": "GET", "REMOTE_ADDR": "127.0.0.1"}
    body = application(environ, lambda status, headers: statuses.append(status))  # type: ignore[arg-type]
    assert statuses == ["500 Internal Server Error"]
    assert b"log" in b"".join(body)
    assert counted("accord_unhandled_errors_total") == 1
