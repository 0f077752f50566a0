"""Ports that tests choose for their servers (``tests/ports.py``)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.ports import free_ports


def test_no_port_is_given_out_twice() -> None:
    first, second = free_ports(3), free_ports(3)
    assert set(range(first, first + 3)).isdisjoint(range(second, second + 3))


def test_another_process_does_not_get_a_reserved_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 0)
    mine = free_ports(2)
    script = "import os; os.getpid = lambda: 0; from tests.ports import free_ports; print(free_ports())"
    other = int(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    )
    assert other not in (mine, mine + 1)
