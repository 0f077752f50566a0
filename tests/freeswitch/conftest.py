"""Tests on a real FreeSWITCH, named by ``ACCORD_FREESWITCH`` or found on the PATH; skipped without one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.freeswitch.internal_phones import configuration, write_tones
from tests.freeswitch.switches import Rig, binary


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if binary() is None:
        reason = "no FreeSWITCH: set ACCORD_FREESWITCH to its binary, or put it on the PATH"
        for item in items:
            if "tests/freeswitch/" in str(item.path):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def switches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("switches"))
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


@pytest.fixture
def rig(switches: Rig) -> Iterator[Rig]:
    """Switch and phones, without a daemon and without earlier calls."""
    switches.fresh()
    yield switches
    switches.kill_daemon()
    switches.hang_up_all()


@pytest.fixture
def daemon(rig: Rig) -> Rig:
    """Switch, phones and a running daemon."""
    rig.start_daemon()
    return rig


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Switch, phones and daemon of a system with colleagues."""
    folder = tmp_path_factory.mktemp("system")
    rig = Rig(folder / "rig", configuration(folder))
    write_tones(rig)
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        yield rig
    finally:
        rig.stop()
