"""Fax tones through the practice switch and the real daemon."""

from __future__ import annotations

from pathlib import Path

import gevent
import numpy as np
import soundfile

from demo.practice.party import PracticeParty
from recorder.spool import layout
from tests.scenarios.files import RATE
from tests.scenarios.practice_driver import NUMBERS, PracticeDriver

CNG, CED = (1100, 0.5), (2100, 2.6)
"""Frequency in Hz and length in seconds of T.30's CNG and CED."""


def tone(path: Path, hertz: int, seconds: float) -> Path:
    at = np.arange(int(RATE * seconds)) / RATE
    sound = np.concatenate([0.3 * np.sin(2 * np.pi * hertz * at), np.zeros(RATE * 3)])
    soundfile.write(path, np.tile(sound, 3), RATE, subtype="PCM_16")
    return path


def share(sound: np.ndarray, hertz: int) -> float:
    """The share of a sound's power at a frequency."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    at = np.fft.rfftfreq(len(sound), 1 / RATE)
    return float(power[np.abs(at - hertz) < 50].sum() / max(power.sum(), 1e-9))


def test_fax_follows_its_lines_setting(tmp_path: Path) -> None:
    driver = PracticeDriver(tmp_path)
    try:
        driver.daemon("start")
        cng, ced = tone(tmp_path / "cng.wav", *CNG), tone(tmp_path / "ced.wav", *CED)
        callers = {}
        for number, line in enumerate(("line", "listed")):
            caller = f"+3247055500{number}"
            party = PracticeParty(caller, rings=0.1, early=cng, speaks=cng, answers_with=ced)
            callers[line] = (caller, driver.switch.call(NUMBERS[line], party))
        for _, session in callers.values():
            assert session.wait("bridged", 10)
        gevent.sleep(1.5)
        for _, session in callers.values():
            session.hang_up()
        takes = {line: layout.read_take(folder(driver, caller)) for line, (caller, _) in callers.items()}
        assert (takes["line"].end.outcome, takes["line"].end.reason) == ("recorded", None)
        sound, _rate = soundfile.read(takes["line"].audio)
        talk = sound[-RATE:]
        assert share(talk[:, 1], CED[0]) > 0.9
        assert share(sound[:, 0], CNG[0]) > 0.9
        listed = takes["listed"]
        assert (listed.end.outcome, listed.end.reason) == ("not_recorded", "never_record")
        assert not listed.audio.exists()
        assert callers["listed"][1].played == [], "nor announced"
    finally:
        driver.close()


def folder(driver: PracticeDriver, caller: str) -> Path:
    found: list[Path] = []

    def ended() -> bool:
        found[:] = [
            path.parent
            for path in driver.spool.glob(f"*/{layout.END}")
            if layout.read_start(path.parent).external_party.value == caller
        ]
        return bool(found)

    driver.until(f"the take of {caller} is closed", ended, 15)
    return found[0]
