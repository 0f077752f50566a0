"""Fixtures of tests in several folders: a settable clock, repeatable randomness, a fresh catalogue."""

from __future__ import annotations

import gc
import io
import os
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import structlog

from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.foreign_servers import refuse_foreign_servers
from tests.postgres import Server, binaries

if TYPE_CHECKING:
    from tests.house import Bakery


refuse_foreign_servers()

# The collected tests are thousands of objects, and never garbage.  Searching through them takes a fifth of
# the time of collecting them, and time again whenever the tests have left garbage.
gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


DEADLINE = float(os.environ.get("TEST_DEADLINE", "inf"))
"""Seconds since 1970 after which no long test begins, where a run has only so much time."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.time() > DEADLINE and item.get_closest_marker("long"):
        pytest.skip("this run's time is over (TEST_DEADLINE)")


@pytest.fixture(scope="session", autouse=True)
def no_cached_loggers() -> Iterator[None]:
    """Commands that a test runs in its own process configure the logs as for a lasting process: each logger
    would cache its configuration, and ``capture_logs`` of a later test would record nothing."""
    configure = structlog.configure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            structlog, "configure", lambda **how: configure(**{**how, "cache_logger_on_first_use": False})
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def encoded_takes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder that all workers of this run share."""
    from tests.encoder_cache import FOLDER

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    (folder / "encoded").mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(folder / "encoded"))
        yield


@pytest.fixture(autouse=True)
def restored_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def entropy() -> RepeatableEntropy:
    return RepeatableEntropy()


SERVED = (pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server is installed (postgresql)"),)
KINDS = ("sqlite", pytest.param("postgresql", marks=SERVED))
UNIT = Path(__file__).parent / "unit"
ON_BOTH = frozenset(
    UNIT / name
    for name in (
        "access_log",
        "auditlog",
        "catalogue",
        "customer_import",
        "lifecycle",
        "notifications",
        "offboarding",
        "pipeline",
        "playback",
        "recovery",
        "usage",
        "call_list",
        "mail",
        "web/test_account.py",
        "web/test_ended_calls.py",
        "web/test_factor_rules.py",
        "web/test_notes.py",
        "web/test_passkeys.py",
        "web/test_provider.py",
        "web/test_call_list.py",
        "web/test_registration.py",
        "web/test_second_factor.py",
        "web/test_setup.py",
        "web/test_team.py",
    )
)
"""The packages and modules whose tests of a catalogue run on both.  Where the kind of database matters most,
tests or modules are marked ``postgresql`` and run on it in ``make test``; otherwise in ``make test-long``."""
assert all(each.exists() for each in ON_BOTH)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    definition = metafunc.definition
    listed = {definition.path, definition.path.parent} & ON_BOTH
    asks = listed and "catalogue_kind" in metafunc.fixturenames
    if asks and not any(
        marker.args[0] == "catalogue_kind" for marker in definition.iter_markers("parametrize")
    ):
        later = () if definition.get_closest_marker("postgresql") else (pytest.mark.long,)
        metafunc.parametrize(
            "catalogue_kind", ("sqlite", pytest.param("postgresql", marks=(*SERVED, *later)))
        )


@pytest.fixture
def catalogue_kind() -> str:
    """The kind of database that the catalogue is in."""
    return "sqlite"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for this process."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server is installed (postgresql)")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def catalogue_url(catalogue_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a catalogue to be created."""
    if catalogue_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalogue.db'}"
        return
    empty = "catalogue" not in request.fixturenames
    with request.getfixturevalue("postgres").database(empty=empty) as url:
        yield url


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[str]:
    """A migrated catalogue that this process has open; its URL."""
    from tests.catalogue_template import make_catalogue, open_catalogue

    make_catalogue(catalogue_url)
    opened = open_catalogue(catalogue_url)
    yield catalogue_url
    getattr(opened, "close_all", opened.close)()


@pytest.fixture
def tone() -> Callable[..., bytes]:
    """Makes a WAV, PCM 16 bit, of a square wave."""

    def make(ms: int = 1000, rate: int = 8000, channels: int = 1, level: int = 1000) -> bytes:
        wave_of = np.where(np.arange(rate * ms // 1000) // 10 % 2, level, -level)
        out = io.BytesIO()
        with wave.open(out, "wb") as sound:
            sound.setnchannels(channels)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(np.repeat(wave_of, channels).astype("<i2").tobytes())
        return out.getvalue()

    return make


@pytest.fixture
def house(tmp_path: Path, catalogue: str, clock: Clock, entropy: RepeatableEntropy) -> Bakery:
    """A house with one customer, on the catalogue that this process has open."""
    from tests.house import Bakery

    return Bakery(tmp_path, clock, entropy, catalogue)
