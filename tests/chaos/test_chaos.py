"""Calls while everything dies and stops, again and again: the short run, and the long one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.run import Run

SEED = int(os.environ.get("ACCORD_CHAOS_SEED", "20261125"))
FAULTS = int(os.environ.get("ACCORD_CHAOS_FAULTS", "1000"))


@pytest.mark.timeout(180)
def test_a_few_faults(tmp_path: Path) -> None:
    Run(tmp_path / "chaos", 3, 20).all()


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_thousand_faults(tmp_path: Path) -> None:
    print(f"ACCORD_CHAOS_SEED={SEED} ACCORD_CHAOS_FAULTS={FAULTS}")
    run = Run(tmp_path / "chaos", SEED, FAULTS)
    run.all()
    assert len(run.plant.struck) >= FAULTS
