"""The real switch, if it is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.freeswitch.switches import Rig, binary

WITHOUT = "no FreeSWITCH: set ACCORD_FREESWITCH to its binary, or put it on the PATH"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Switch, phones and a connected daemon."""
    if binary() is None:
        pytest.skip(WITHOUT)
    rig = Rig(tmp_path_factory.mktemp("fuzz"))
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        yield rig
    finally:
        rig.stop()
