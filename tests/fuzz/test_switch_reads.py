"""The real switch reads an argument that commands accept as exactly that argument."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from recorder.errors import SwitchError
from recorder.switch import commands
from tests.freeswitch.switches import Rig, until
from tests.fuzz.choices import Choices


@pytest.fixture(scope="module")
def leg(rig: Rig) -> str:
    """A live call's leg."""
    call = rig.call()
    call.wait_bridged(60)
    leg = until("the call is listed", lambda: call.leg, 10)
    assert isinstance(leg, str)
    return leg


def texts(seed: int, longest: int) -> list[str]:
    chance = random.Random(seed)
    return [Choices(chance.randbytes(90)).text(longest) for _ in range(20_000)]


def test_value_is_set_unchanged(rig: Rig, leg: str) -> None:
    count = 0
    for value in texts(1, 12):
        try:
            put = commands.put_variable(leg, "fuzzed", value)
        except SwitchError:
            continue
        if value != value.strip(" ") or value in ("", "_undef_", "undef"):
            continue  # the switch trims spaces, and treats these words as "not set"
        answer = rig.switch.esl.command(put.text)
        assert answer.startswith("+OK"), (value, answer)
        value_read = rig.switch.esl.command(commands.get_variable(leg, "fuzzed").text)
        assert value_read == value, (value, value_read)
        count += 1
        if count == 2000:
            break
    assert count == 2000
    assert rig.switch.esl.command(commands.get_variable(leg, "accord_state").text) == "announced"


def test_recording_is_at_its_exact_path(rig: Rig, leg: str) -> None:
    folder = rig.folder / "paths"
    folder.mkdir()
    paths: set[Path] = set()
    for name in texts(2, 8):
        path = folder / f"{name}x.wav"
        try:
            stop = commands.record_stop(leg, path)
        except SwitchError:
            continue
        if path.parent != folder or path in paths:
            continue
        answer = rig.switch.esl.command(f"api uuid_record {leg} start '{path}' 0 {{RECORD_STEREO=true}}")
        assert answer.startswith("+OK"), (path, answer)
        until(f"{path} is written", path.exists, 5)
        assert set(folder.iterdir()) == {path}
        assert rig.switch.esl.command(stop.text).startswith("+OK")
        paths.add(path)
        path.unlink(missing_ok=True)  # the switch itself discards recordings shorter than three seconds
        if len(paths) == 40:
            break
    assert len(paths) == 40
