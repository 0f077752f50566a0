"""What the bench of load counts with: a frame that is lost must not go unseen, nor a whole one be missed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.load import figures, sound, tables
from bench.load.sound import FRAME, RATE, Speech


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> tuple[Speech, sound.Samples]:
    """The worst case: somebody who is silent, so that there is nothing but the noise; and a minute of it."""
    folder = tmp_path_factory.mktemp("sound")
    soundfile.write(folder / "said.wav", np.zeros(RATE * 4, np.int16), RATE)
    sound.write_speech(folder / "said.wav", folder / "said.ulaw", 1)
    once = sound.linear(np.frombuffer((folder / "said.ulaw").read_bytes(), np.uint8))
    return Speech(folder / "said.ulaw"), np.tile(once, 15)


def test_whole_sound_has_lost_nothing(speech: tuple[Speech, sound.Samples]) -> None:
    known, said = speech
    counted = known.count(np.concatenate([np.zeros(777, np.int16), said, np.zeros(5000, np.int16)]))
    assert (counted.frames, counted.lost, counted.breaks, counted.first) == (len(said) // FRAME, 0, (), 777)


@pytest.mark.parametrize("instead", ["nothing", "silence", "less silence than a frame", "the frame before"])
def test_every_lost_frame_is_counted(speech: tuple[Speech, sound.Samples], instead: str) -> None:
    known, said = speech
    gone = sorted(random.Random(instead).sample(range(50, len(said) // FRAME - 50, 2), 40))
    parts, before = [], 0
    for frame in gone:
        parts.append(said[before : frame * FRAME])
        filling = {
            "nothing": said[:0],
            "silence": np.zeros(FRAME, np.int16),
            "less silence than a frame": np.zeros(FRAME // 3, np.int16),
            "the frame before": said[(frame - 1) * FRAME : frame * FRAME],
        }
        parts.append(filling[instead])
        before = (frame + 1) * FRAME
    heard = np.concatenate([*parts, said[before:]])
    counted = known.count(heard)
    assert [lost for _, lost in counted.breaks if lost] == [1] * len(gone)
    assert counted.lost == len(gone)


def test_a_telephone_that_says_something_else_is_not_taken_for_this_one(
    speech: tuple[Speech, sound.Samples],
) -> None:
    other = np.random.default_rng(9).integers(-40, 41, RATE * 30).astype(np.int16)
    assert speech[0].count(other).frames == 0


def test_quantiles_are_of_what_was_added_between_two_looks() -> None:
    def shown(*counts: int) -> str:
        bounds = ("0.01", "0.1", "+Inf")
        lines = [f'a_seconds_bucket{{le="{le}"}} {n}' for le, n in zip(bounds, counts, strict=True)]
        return "# TYPE a_seconds histogram\n" + "\n".join(lines) + "\n"

    before, after = shown(1000, 1000, 1000), shown(1060, 1098, 1100)
    assert figures._quantiles("a_seconds", before, after) == {"p50": 10.0, "p95": 100.0, "p99": float("inf")}
    assert figures._quantiles("a_seconds", before, before) == {}


def test_the_page_has_a_place_for_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(tables.PAGE.read_bytes())
    monkeypatch.setattr(tables, "PAGE", page)
    for name in ("load", "load-ramp"):
        tables.write(name, f"the tables of {name}\n")
        tables.write(name, f"the new tables of {name}\n")
    text = page.read_text("utf-8")
    assert "<!-- load:begin -->\nthe new tables of load\n<!-- load:end -->" in text
    assert "<!-- load-ramp:begin -->\nthe new tables of load-ramp\n<!-- load-ramp:end -->" in text
