"""A colleague calls the information prompt of a number, which needs no daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from demo.practice.switch import PracticeSwitch
from tests.scenarios.files import RATE, chirp


@pytest.mark.parametrize("number", ["*583225550101", "*58+3225550101"])
def test_information_prompt_of_a_number_is_played(tmp_path: Path, number: str) -> None:
    path = tmp_path / "3225550101.wav"
    soundfile.write(path, chirp(0.5), RATE, subtype="PCM_16")
    with PracticeSwitch(password="p", environment={"ACCORD_INFO_PROMPTS": str(tmp_path)}) as switch:
        call = switch.call(number)
        assert call.wait("ended", 10)
    assert call.played == [str(path)]
    assert call.leg.variables.get("accord_state") is None


@pytest.mark.parametrize("number", ["*58", "*58x", "*5832255501011234567", "*583225550102"])
def test_unknown_number_ends_the_call(tmp_path: Path, number: str) -> None:
    with PracticeSwitch(password="p", environment={"ACCORD_INFO_PROMPTS": str(tmp_path)}) as switch:
        call = switch.call(number)
        assert call.wait("ended", 10)
    assert call.played == []
