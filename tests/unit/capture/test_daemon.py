"""Checks of the daemon's settings before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.capture import Daemon, DaemonSettings
from recorder.errors import SwitchError


@pytest.mark.parametrize("name", ["it's", "a$b", "line\nfeed", "{x}"])
@pytest.mark.parametrize("which", ["spool", "snapshot"])
def test_rejects_a_path_that_no_command_can_carry(tmp_path: Path, name: str, which: str) -> None:
    folders = {"spool": tmp_path / "spool", "snapshot": tmp_path / "snapshot", which: tmp_path / name}
    daemon = Daemon(DaemonSettings(node="n", password="x" * 12, listen_port=0, **folders))
    with pytest.raises(SwitchError) as failure:
        daemon.run()
    assert failure.value.error_id == "switch.argument"


def test_password_is_in_no_log(tmp_path: Path) -> None:
    settings = DaemonSettings(node="n", spool=tmp_path, snapshot=tmp_path, password="very-secret-word")
    assert "very-secret-word" not in repr(settings)
