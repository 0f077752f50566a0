"""Which peers are admitted as the switch, and why."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from recorder import metrics
from recorder.capture import admission
from recorder.capture.admission import (
    ANOTHER_USER,
    FILE,
    LOG_INTERVAL,
    NO_CHANNEL,
    UNVERIFIED,
    PeerAdmission,
    key_variable,
)
from recorder.errors import SwitchError
from recorder.switch.commands import SwitchCommand
from tests.greenlets import wait_idle

SWITCH, STRANGER = 998, 1000
CHANNEL = "b7b2b6a0-0000-4000-8000-000000000001"
DATA = {"Unique-ID": CHANNEL, "variable_accord_state": "waiting", "variable_accord_line": "+3225550101"}
DUMP = f"Unique-ID: {CHANNEL}\nvariable_accord_state: announced\nvariable_accord_line: %2B3225550199\n"


class Switch:
    """A switch with an admission: its global variables, and its answer to queries."""

    def __init__(self, spool: Path, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self.up = True
        self.queries: list[str] = []
        self.answer: str | SwitchError = DUMP
        self.globals: dict[str, str] = {}
        self.now = 0.0
        self.admission = PeerAdmission(
            "brussels-1", spool, entropy=entropy, reach=lambda _seconds: self.up, ask=self.ask,
            owner=lambda _sock: SWITCH, monotonic=lambda: self.now,
        )  # fmt: skip

    def ask(self, command: SwitchCommand, _limit: float) -> str:
        self.queries.append(str(command))
        if isinstance(self.answer, SwitchError):
            raise self.answer
        return self.answer

    def api(self, command: SwitchCommand) -> str:
        assert command.text.startswith("api global_setvar ")
        name, _, value = command.text.removeprefix("api global_setvar ").partition("=")
        self.globals[name] = value
        return "+OK"

    def log_in(self) -> None:
        connection: Any = SimpleNamespace(sock=None, api=self.api)
        self.admission.set_key(connection)
        wait_idle(timeout=5)

    @property
    def key(self) -> str:
        return self.globals[key_variable("brussels-1")]


@pytest.fixture
def switch(tmp_path: Path) -> Switch:
    installation = Switch(tmp_path)
    installation.admission.start()
    installation.log_in()
    return installation


def refused(reason: str) -> float:
    return float(metrics.PEERS_REFUSED.labels(reason)._value.get())


NOT_CONNECTED = SwitchError("switch.gone", "not connected", "")


@pytest.mark.parametrize("owner", [SWITCH, STRANGER, None])
def test_key_admits_any_user_without_asking_the_switch(switch: Switch, owner: int | None) -> None:
    switch.up = False
    assert switch.admission.admit(DATA, switch.key, owner) is DATA
    assert switch.queries == []


@pytest.mark.parametrize("answer", ["", "-ERR no reply", "0" * 64, "é" * 64, "\udcff"])
def test_refuses_another_user_without_the_key_and_without_asking(switch: Switch, answer: str) -> None:
    before = refused(ANOTHER_USER)
    assert switch.admission.admit(DATA, answer, STRANGER) is None
    assert refused(ANOTHER_USER) == before + 1
    assert switch.queries == []


@pytest.mark.parametrize("owner", [SWITCH, None])
def test_uses_the_switchs_own_data_without_the_key(switch: Switch, owner: int | None) -> None:
    data = switch.admission.admit(DATA, "", owner)
    assert data is not None
    assert dict(data) == {
        "Unique-ID": CHANNEL, "variable_accord_state": "announced", "variable_accord_line": "+3225550199",
    }  # fmt: skip
    assert switch.queries == [f"api uuid_dump {CHANNEL}"]


@pytest.mark.parametrize("owner", [SWITCH, None])
def test_refuses_a_channel_unknown_to_the_switch(switch: Switch, owner: int | None) -> None:
    switch.answer = SwitchError("switch.refused", "-ERR No such channel!", "")
    before = refused(NO_CHANNEL)
    assert switch.admission.admit(DATA, "0" * 64, owner) is None
    assert refused(NO_CHANNEL) == before + 1


@pytest.mark.parametrize("away", ["not connected", "does not answer", "an unaddressable id"])
def test_requires_the_switchs_user_if_it_cannot_be_asked(switch: Switch, away: str) -> None:
    data = DATA
    if away == "not connected":
        switch.up = False
    elif away == "does not answer":
        switch.answer = SwitchError("switch.timeout", "late", "")
    else:
        data = {**DATA, "Unique-ID": "a84b4c76e66710@pc33.atlanta.com"}
    before = refused(UNVERIFIED)
    assert switch.admission.admit(data, "", SWITCH) is data
    assert switch.admission.admit(data, "", None) is None
    assert refused(UNVERIFIED) == before + 1


def test_refuses_everybody_before_the_first_connection(tmp_path: Path) -> None:
    installation = Switch(tmp_path)
    installation.admission.start()
    installation.up = False
    assert installation.admission.admit(DATA, "", SWITCH) is None
    assert not installation.admission.is_stranger(STRANGER), "the switch's user is not known"


def test_next_daemon_accepts_the_previous_key_until_it_sets_its_own(switch: Switch, tmp_path: Path) -> None:
    old = switch.key
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes()) == {"keys": [old], "user": SWITCH}
    after = Switch(tmp_path)
    after.admission.start()
    after.up = False
    assert after.admission.admit(DATA, old, None) is DATA
    assert after.admission.is_stranger(STRANGER)
    # It may die before it has set its own.
    third = Switch(tmp_path)
    third.admission.start()
    third.log_in()
    assert third.key != old
    assert third.admission.admit(DATA, third.key, None) is DATA
    third.up = False
    assert third.admission.admit(DATA, old, None) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"keys": ["short"], "user": 1}', b'{"keys": 5, "user": 1}', b"\xff"]
)
def test_ignores_an_invalid_key_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    installation = Switch(tmp_path)
    installation.admission.start()
    installation.log_in()
    assert installation.admission.admit(DATA, installation.key, None) is DATA
    assert json.loads((tmp_path / FILE).read_bytes())["keys"] == [installation.key]


def test_key_is_valid_even_if_it_cannot_be_saved(tmp_path: Path) -> None:
    installation = Switch(tmp_path / "none")
    installation.admission.start()
    installation.log_in()
    assert installation.admission.admit(DATA, installation.key, None) is DATA


def test_asks_about_each_call_if_the_switch_refuses_the_key(switch: Switch, tmp_path: Path) -> None:
    installation = Switch(tmp_path)
    installation.admission.start()

    def refuse(command: SwitchCommand) -> str:
        raise SwitchError(
            "switch.refused", f"FreeSWITCH refused {str(command)!r}: -ERR permission denied", "try again"
        )

    connection: Any = SimpleNamespace(sock=None, api=refuse)
    installation.admission.set_key(connection)
    assert installation.admission.admit(DATA, "-ERR permission denied", SWITCH) is not None
    assert installation.queries
    # The key of the previous daemon is still valid.
    assert installation.admission.admit(DATA, switch.key, None) is DATA


def test_keys_differ_by_daemon_and_variables_by_node(tmp_path: Path) -> None:
    first, second = Switch(tmp_path / "a"), Switch(tmp_path / "b")
    first.log_in()
    second.log_in()
    assert first.key != second.key
    assert len(first.key) == 64
    assert key_variable("brussels-1") != key_variable("brussels-2")


def test_logs_refusals_once_a_minute_and_counts_all(switch: Switch) -> None:
    with capture_logs() as logs:
        for _ in range(500):
            switch.admission.admit(DATA, "", STRANGER)
        switch.now += LOG_INTERVAL
        switch.admission.admit(DATA, "", STRANGER)
    refusals = [each for each in logs if each["event"] == "socket.peer_refused"]
    assert [(each["count"], each["reason"], each["user"]) for each in refusals] == [
        (1, ANOTHER_USER, STRANGER),
        (500, ANOTHER_USER, STRANGER),
    ]
    assert len(logs) == 2
    assert CHANNEL not in repr(logs)


def test_key_is_in_no_log(switch: Switch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        installation = Switch(tmp_path)
        installation.admission.start()
        installation.log_in()
        installation.admission.admit(DATA, switch.key[:-1] + "x", STRANGER)
        installation.admission.admit(DATA, switch.key, None)
    for key in (switch.key, installation.key):
        assert key not in repr(logs)
        assert key not in caplog.text
        assert key not in repr(installation.admission.question)
    command = admission.commands.set_global_variable("accord_key_x", installation.key)
    assert installation.key not in str(command)
    assert installation.key not in repr(command)
