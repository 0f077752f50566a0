"""A stopped database (SIGSTOP) still acknowledges packets: the worker's heartbeat must continue."""

from __future__ import annotations

import os
import signal
import threading

import psycopg
import pytest

from recorder.catalogue import queries
from recorder.config import Settings, WorkerSettings
from recorder.processes.worker_loop import Worker
from tests.waiting import until

pytestmark = pytest.mark.postgresql

DEADLINE = 60.0
HEARTBEATS = 6
"""More than the worker sends before each of its threads waits for the catalogue."""


@pytest.mark.parametrize("catalogue_kind", ["postgresql"])
def test_heartbeat_continues_while_the_catalogue_hangs(house, postgres) -> None:
    house.take(formats=("wav",))
    beats: list[None] = []
    settings = Settings(worker=WorkerSettings(processes=1, nice=1))
    worker = Worker(
        house.services,
        settings,
        drain=5,
        beat=lambda: beats.append(None),
    )
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        until("the first recording", lambda: len(queries.recordings(house.tenant).rows) == 1)
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'accord'"
            silent = [postgres.pid, *(pid for (pid,) in connection.execute(query))]
        for pid in silent:
            os.kill(pid, signal.SIGSTOP)
        house.take(formats=("wav",))
        beat_count = len(beats)
        try:
            until("heartbeats while nothing answers", lambda: len(beats) >= beat_count + HEARTBEATS)
        finally:
            for pid in reversed(silent):
                os.kill(pid, signal.SIGCONT)
        until("the second, once it answers", lambda: len(queries.recordings(house.tenant).rows) == 2)
    finally:
        worker.stop()
        thread.join(DEADLINE)
    assert not thread.is_alive()
