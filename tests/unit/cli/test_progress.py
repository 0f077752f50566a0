"""ProgressLine of long commands: one rewritten line on a terminal, lines at intervals elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from recorder.cli.progress import INTERVAL_S, ProgressLine


class Seconds:
    """A monotonic clock."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_appear_at_intervals_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = Seconds()
    with ProgressLine(seconds) as progress:
        for count in range(61):
            progress.tell("recordings", count, 60)
            seconds.at += 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"recordings: {INTERVAL_S:.0f} of 60, 1/s, 50 s left"
    assert lines[-1] == "recordings: 60 of 60"
    assert len(lines) == 6


def test_short_phase_prints_nothing_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLine(Seconds()) as progress:
        progress.tell("leaves", 7, 7)
    assert capsys.readouterr().err == ""


def test_line_of_a_terminal_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, seconds = Terminal(), Seconds()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressLine(seconds) as progress:
        progress.tell("recordings", 0, 4)
        seconds.at += 1
        progress.tell("recordings", 1, 4)
        progress.tell("recordings", 4, 4)
        progress.tell("keys", 5)
    first, *others, last = terminal.getvalue().split("\r")[1:]
    assert first.startswith(f"[{' ' * 30}] recordings: 0 of 4")
    assert others[0].startswith("[#######                       ] recordings: 1 of 4, 1/s, 3 s left")
    assert others[1].startswith(f"[{'#' * 30}] recordings: 4 of 4")
    assert last.startswith("keys: 5")
    assert terminal.getvalue().count("\n") == 2
