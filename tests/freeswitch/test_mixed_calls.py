"""Simultaneous calls of mixed kinds, with random transfers, compared with a model of what each party must
have heard: from the phones to what is stored (see ``mixed/``).

``TEST_MIXED_CALLS`` sets the number of calls of the long test, ``TEST_MIXED_SEED`` the seed."""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.freeswitch.mixed.history import History
from tests.freeswitch.mixed.installation import MixedInstallation, run_installation
from tests.freeswitch.mixed.media import Studio
from tests.freeswitch.mixed.model import findings
from tests.freeswitch.mixed.plan import Call, plan
from tests.freeswitch.mixed.player import Player, telephones
from tests.freeswitch.switches import until

SEED = int(os.environ.get("TEST_MIXED_SEED", "20261125"))
A_DOZEN = 730
"""A plan with much in it that is over soon."""


async def played(folder: Path, calls: tuple[Call, ...], guard: float) -> tuple[History, str]:
    studio = Studio()
    phones = await telephones(studio)
    with run_installation(folder, calls, phones.port) as installation:
        studio.start_time = time.monotonic()
        player = Player(installation.rig, phones, calls, guard)
        start = time.monotonic()
        await player.play()
        ended = time.monotonic()
        heard_telephones = player.telephones_by_party()
        (folder / "telephones.pickle").write_bytes(pickle.dumps((calls, heard_telephones, player.failed)))
        await asyncio.to_thread(all_listed, installation, 60 + 3 * len(calls))
        stored = time.monotonic() - ended
        history = History(heard_telephones, installation.listed_calls(), player.failed)
        (folder / "history.pickle").write_bytes(pickle.dumps((calls, history)))  # to look at it again
    figures = (
        f"{player.peak} at once, all of them for {player.lived:.0f} s; {ended - start:.0f} s in all, "
        f"everything stored {stored:.0f} s later; the telephones were late by "
        f"{1000 * studio.latest:.0f} ms at most, in {studio.late} of {studio.ticks} ticks by more than one"
    )
    return history, figures


def all_listed(installation: MixedInstallation, seconds: float) -> None:
    """Wait until every ended call has a row; the time depends on the worker and the machine."""
    spool = installation.rig.spool
    until(
        "all is stored and listed",
        lambda: not [one for one in spool.iterdir() if one.name[0] != "."],
        seconds,
        0.5,
    )


def report(calls: tuple[Call, ...], figures: str) -> str:
    actions = Counter(action for call in calls for action in call.actions)
    openings = Counter(call.opening for call in calls)
    return f"{len(calls)} calls: {figures}\n{dict(openings)}\n{dict(actions)}"


def assert_as_it_must_be(calls: tuple[Call, ...], played: tuple[History, str]) -> None:
    history, figures = played
    print(report(calls, figures))
    wrong = findings(calls, history)
    assert not wrong, "\n".join([f"{len(wrong)} findings; {figures}", *wrong])


def test_a_dozen_mixed_calls(tmp_path: Path) -> None:
    calls = plan(A_DOZEN, 12, every=0.25, live=1.0)
    assert_as_it_must_be(calls, asyncio.run(played(tmp_path, calls, 0.3)))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_hundred_mixed_calls(tmp_path: Path) -> None:
    count = int(os.environ.get("TEST_MIXED_CALLS", "200"))
    calls = plan(SEED, count, every=0.25, live=45.0)
    assert_as_it_must_be(calls, asyncio.run(played(tmp_path, calls, 0.5)))
