"""Checks of the daemon's settings before it starts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from recorder.capture import Daemon, DaemonSettings
from recorder.errors import SwitchError
from tests.expected_errors import expect_error


@pytest.mark.parametrize("name", ["it's", "a$b", "line\nfeed", "{x}"])
@pytest.mark.parametrize("which", ["spool", "snapshot"])
def test_rejects_a_path_that_no_command_can_carry(tmp_path: Path, name: str, which: str) -> None:
    folders = {"spool": tmp_path / "spool", "snapshot": tmp_path / "snapshot", which: tmp_path / name}
    daemon = Daemon(DaemonSettings(node="n", password="x" * 12, listen_port=0, **folders))
    with expect_error(SwitchError, "switch.argument"):
        daemon.run()


def test_daemon_that_fails_half_handed_over_ends(tmp_path: Path) -> None:
    """The next one accepts the calls already, and waits for this one's end to take the others over."""

    def fail(_pid: int) -> bool:
        raise RuntimeError("a bug")

    settings = DaemonSettings(node="n", spool=tmp_path, snapshot=tmp_path, password="x" * 12, listen_port=0)
    daemon = Daemon(settings, hand_on=fail)
    successor = SimpleNamespace(offer=lambda _listener, _stops: True, pid=1)
    with pytest.raises(RuntimeError):
        daemon._hand_over(successor)  # type: ignore[arg-type]
    assert daemon._stop_event.is_set()


def test_daemon_that_the_next_one_does_not_answer_goes_on(tmp_path: Path) -> None:
    settings = DaemonSettings(node="n", spool=tmp_path, snapshot=tmp_path, password="x" * 12, listen_port=0)
    daemon = Daemon(settings)

    def offer(_listener: object, _stops: bool) -> bool:
        raise BrokenPipeError("it has gone")

    with pytest.raises(BrokenPipeError):
        daemon._hand_over(SimpleNamespace(offer=offer))  # type: ignore[arg-type]
    assert not daemon._stop_event.is_set()


def test_password_is_in_no_log(tmp_path: Path) -> None:
    settings = DaemonSettings(node="n", spool=tmp_path, snapshot=tmp_path, password="very-secret-word")
    assert "very-secret-word" not in repr(settings)
