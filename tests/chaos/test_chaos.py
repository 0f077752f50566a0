"""Calls while processes are killed and stopped: a short run, and long ones (``make test-hours``: a thousand
faults)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.database import Database
from tests.chaos.run import Run
from tests.freeswitch.process import binary
from tests.postgres import binaries

SEED = int(os.environ.get("TEST_CHAOS_SEED", "20261125"))
FAULTS = int(os.environ.get("TEST_CHAOS_FAULTS", "60"))
REAL_FAULTS = int(os.environ.get("TEST_CHAOS_REAL_FAULTS", "30"))
DATABASE_FAULTS = int(os.environ.get("TEST_CHAOS_DATABASE_FAULTS", "30"))
GOES_ON = "TEST_CHAOS_GO_ON" in os.environ


@pytest.mark.timeout(180)
def test_a_few_faults(tmp_path: Path) -> None:
    run = Run(tmp_path / "chaos", 3, 12, hurry=0.4)
    run.all()
    assert len(run.plant.hits) == 12
    assert run.ears.sounds


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_many_faults(tmp_path: Path) -> None:
    print(f"TEST_CHAOS_SEED={SEED} TEST_CHAOS_FAULTS={FAULTS}")
    run = Run(tmp_path / "chaos", SEED, FAULTS, hurry=0.5, goes_on=GOES_ON)
    run.all()
    assert len(run.plant.hits) >= FAULTS


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.skipif(binary() is None, reason="no FreeSWITCH: set ACCORD_FREESWITCH, or put it on the PATH")
def test_faults_on_the_real_switch(tmp_path: Path) -> None:
    print(f"TEST_CHAOS_SEED={SEED} TEST_CHAOS_REAL_FAULTS={REAL_FAULTS}")
    run = Run(tmp_path / "chaos", SEED, REAL_FAULTS, real=True, goes_on=GOES_ON)
    run.all()
    assert len(run.plant.hits) >= REAL_FAULTS


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server: apt-get install postgresql")
def test_faults_with_a_database_server(tmp_path: Path) -> None:
    print(f"TEST_CHAOS_SEED={SEED} TEST_CHAOS_DATABASE_FAULTS={DATABASE_FAULTS}")
    run = Run(tmp_path / "chaos", SEED, DATABASE_FAULTS, database=Database(), goes_on=GOES_ON)
    run.all()
    assert len(run.plant.hits) >= DATABASE_FAULTS
