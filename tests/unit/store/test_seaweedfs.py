"""Checks of the embedded store before it starts; the server itself is tested in ``tests/contract``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recorder.errors import StoreError
from recorder.store import seaweedfs
from tests.ports import free_ports


def test_reports_another_users_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = tmp_path / "tmp"
    sockets.mkdir()
    monkeypatch.setattr(seaweedfs, "SOCKETS", sockets)
    first = free_ports(seaweedfs.PORTS)
    port = first + 3
    (sockets / f"seaweedfs-master-grpc-{port}.sock").touch()
    assert not seaweedfs.foreign_socket(port), "our own socket is no obstacle"
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert seaweedfs.foreign_socket(port)
    assert not seaweedfs.foreign_socket(port + 1), "a socket of another port is ignored"
    store = seaweedfs.SeaweedFS(tmp_path / "store", first)
    with pytest.raises(StoreError, match=str(port)) as failure:
        store.start()
    assert failure.value.error_id == "store.port_taken"
