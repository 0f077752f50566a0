"""Every target briefly: its seeds, earlier findings (``corpus``), and a few reproducible inputs of
hypothesis.  Campaigns are ``python -m tests.fuzz``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.campaign import run
from tests.fuzz.target import CORPUS, NAMES, load
from tests.house import hash_with
from web.account import passwords
from web.account.limits import limiter


@pytest.fixture(scope="module", autouse=True)
def restored_panel() -> Iterator[None]:
    """Restore the hasher and the limits that the panel's target replaces."""
    hasher, enabled = passwords._hasher, limiter.enabled
    yield
    hash_with(hasher)
    limiter.enabled = enabled


PERCENT = int(os.environ.get("TEST_FUZZ_PERCENT", "4"))

SLOW = {
    "take": 12,
    "decoder": 60,
    "store": 12,
    "panel": 110,
    "wire": 25,
    "connection": 60,
    "amendments": 15,
    "backup": 40,
    "mails": 12,
}
"""The number of inputs of slow targets."""


@pytest.mark.parametrize("name", NAMES)
def test_seeds_keep_the_promise(name: str) -> None:
    target = load(name)
    for seed in target.seeds[: SLOW.get(name, 300)]:
        target.guarded(seed)


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_inputs_found_before_keep_the_promise(path: Path) -> None:
    load(path.parent.name).guarded(path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_some_inputs_keep_the_promise(name: str) -> None:
    target = load(name)

    @settings(
        max_examples=SLOW.get(name, 200),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(max_size=target.longest) | st.sampled_from(target.seeds or (b"",)))
    def run_target(data: bytes) -> None:
        target.guarded(data)

    run_target()


def test_every_corpus_folder_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} <= set(NAMES)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_inputs(tmp_path: Path) -> None:
    """More inputs for quick targets. ``TEST_FUZZ_PERCENT=100`` makes it a million, in about 40 minutes on two
    cores."""
    each = {
        "framing": 120_000, "events": 150_000, "connection": 20_000, "calls": 200_000, "bypassed": 100_000,
        "commands": 300_000,
        "wav": 60_000, "decoder": 10_000,
        "take": 1500, "manifest": 60_000, "documents": 90_000,
        "amendments": 10_000, "notes": 60_000, "stamps": 60_000, "mails": 2000, "control": 40_000,
        "backup": 10_000, "folder": 30_000, "store": 3000,
        "panel": 15_000,
        "wire": 8000,
    }  # fmt: skip
    total = 0
    for name, inputs in each.items():
        (result,) = run([name], ["random"], inputs * PERCENT // 100, 1200, 3, tmp_path)
        assert result.findings == {}
        total += result.inputs
    assert total >= 1_000_000 * PERCENT // 100
