"""No test here cuts the power, so none waits for the disk; and none depends on the speed of the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from recorder.lifecycle import plans
from tests.plan_file import PLANS

settings.register_profile("accord", deadline=None)
settings.load_profile("accord")


@pytest.fixture(autouse=True, scope="module")
def no_fsync() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def plan_file(tmp_path: Path) -> Iterator[Path]:
    """The provider's file of plans, in use."""
    path = tmp_path / "plans.toml"
    path.write_text(PLANS)
    plans.use_file(path)
    yield path
    plans.use_file(None)
