"""What the embedded store looks at before it starts; the server itself is in ``tests/contract``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recorder.errors import StoreError
from recorder.store import embedded


def test_a_socket_that_another_user_left_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = tmp_path / "tmp"
    sockets.mkdir()
    monkeypatch.setattr(embedded, "SOCKETS", sockets)
    (sockets / "seaweedfs-master-grpc-8336.sock").touch()
    assert not embedded.foreign_socket(8336), "our own is no hindrance"
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert embedded.foreign_socket(8336)
    assert not embedded.foreign_socket(8337), "another port's says nothing"
    store = embedded.SeaweedFS(tmp_path / "store", 8333)
    with pytest.raises(StoreError, match="8336") as caught:
        store.start()
    assert caught.value.error_id == "store.port_taken"
