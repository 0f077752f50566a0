"""``accord doctor`` on a real switch: the shipped configuration, and one broken in each of many ways."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import config
from recorder.clock import utc_now
from recorder.ops.doctor import outbound, routes, switch
from recorder.ops.doctor.findings import Patient, examine
from recorder.processes.services import Context
from recorder.spool.snapshot import write_snapshot
from recorder.switch import dialplan_lint
from tests.freeswitch.process import until
from tests.freeswitch.switches import HOME, NUMBER, PASSWORD, Rig
from tests.scenarios.broken_dialplans import (
    BROKEN_OUTWARD,
    BROKEN_ROUTES,
    FAULTS,
    DialplanFault,
    apply,
    copy,
    mend,
)
from tests.scenarios.files import Sounds

ABOUT_THE_SWITCH = (
    switch.switch,
    switch.event_socket,
    switch.dialplan,
    switch.guards,
    outbound.outbound,
    routes.routes,
    switch.recording,
)


def settings(rig: Rig, **more: str) -> dict[str, str]:
    return {**rig.environment, "ACCORD_NODE_DATA": str(rig.folder / HOME), **more}


def doctor(rig: Rig, **more: str) -> list[tuple[str, str]]:
    """Return the state and text of every finding about the switch."""
    patient = Patient(Context(config.load(None, settings(rig, **more)), None), utc_now)
    return [(each.state, each.what) for check in ABOUT_THE_SWITCH for each in examine(check, patient)]


@pytest.fixture(scope="module")
def changed_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Path]]:
    """A switch whose configuration a test may change; without phones."""
    folder = tmp_path_factory.mktemp("changing")
    conf = copy(folder)
    rig = Rig(folder, conf)
    rig.spool.mkdir()
    sounds = Sounds(rig.snapshot / "prompts")
    lines = [sounds.line("normal", f"{NUMBER}01"), sounds.line("out", f"{NUMBER}02")]
    write_snapshot(rig.snapshot, lines, [], utc_now())
    rig.switch.start()
    yield rig, conf
    rig.stop()


def reload(rig: Rig) -> None:
    assert "+OK" in rig.switch.esl.api("reloadxml")


def test_finds_no_fault_in_the_shipped_configuration(changed_rig: tuple[Rig, Path]) -> None:
    rig, _ = changed_rig
    found = doctor(rig)
    assert {state for state, _ in found} == {"ok"}, found
    words = "\n".join(what for _, what in found)
    for part in (
        "Version 1.1",
        "6 modules",
        "listens only on 127.0.0.1",
        f"{len(dialplan_lint.EXTENSIONS)} extensions",
        "waits 3 s",
        "context outbound sends callees",
        f"in the {len(dialplan_lint.UNANNOUNCED_STATES)} states",
        "may write",
    ):
        assert part in words, words
    assert PASSWORD not in words


def test_command_prints_text_and_json(changed_rig: tuple[Rig, Path]) -> None:
    rig, _ = changed_rig
    environment = {**os.environ, **settings(rig)}
    for more in ([], ["--json"]):
        process = subprocess.run(
            [sys.executable, "-m", "recorder", "doctor", *more],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert process.returncode == 1, process.stderr
        assert process.stderr == ""
        assert PASSWORD not in process.stdout
        if more:
            found = json.loads(process.stdout)["findings"]
            assert {"ok", "wrong"} <= {each["state"] for each in found}
        else:
            assert f"ok      guard: in the {len(dialplan_lint.UNANNOUNCED_STATES)} states" in process.stdout
            assert "wrong   catalogue: there is no catalogue" in process.stdout


@pytest.mark.parametrize("fault", [*FAULTS, *BROKEN_OUTWARD, *BROKEN_ROUTES], ids=lambda fault: fault.name)
def test_finds_dialplan_faults(changed_rig: tuple[Rig, Path], fault: DialplanFault) -> None:
    rig, conf = changed_rig
    apply(conf, fault)
    try:
        reload(rig)
        found = doctor(rig)
    finally:
        mend(conf, fault)
        reload(rig)
    bad = [what for state, what in found if state != "ok"]
    assert any(fault.says in what for what in bad), found


def test_checks_the_loaded_dialplan_not_the_file(changed_rig: tuple[Rig, Path]) -> None:
    rig, conf = changed_rig
    fault = FAULTS[0]
    apply(conf, fault)
    try:
        assert {state for state, _ in doctor(rig)} == {"ok"}
    finally:
        mend(conf, fault)


def test_wrong_password_and_unreachable_switch(changed_rig: tuple[Rig, Path]) -> None:
    rig, _ = changed_rig
    found = doctor(rig, ACCORD_SWITCH_PASSWORD="another-one-than-that")
    assert any("refuses the password" in what for _, what in found)
    found = doctor(rig, ACCORD_SWITCH_PORT="1")
    assert any("cannot be reached" in what for _, what in found)
    found = doctor(rig, ACCORD_SWITCH_PASSWORD="")
    assert ("wrong", "switch: no password for the event socket") in found


def test_stopped_switch_does_not_hang_the_doctor(changed_rig: tuple[Rig, Path]) -> None:
    rig, _ = changed_rig
    assert rig.switch.process is not None
    rig.switch.process.send_signal(19)
    try:
        found = doctor(rig, ACCORD_SWITCH_COMMAND_TIMEOUT="1")
    finally:
        rig.switch.process.send_signal(18)
    assert found
    assert {state for state, _ in found} == {"wrong"}


def test_missing_module(changed_rig: tuple[Rig, Path]) -> None:
    rig, _ = changed_rig
    assert "+OK" in rig.switch.esl.api("unload mod_sndfile")
    try:
        found = doctor(rig)
    finally:
        rig.switch.esl.api("load mod_sndfile")
    assert ("wrong", "switch: mod_sndfile is not loaded (WAV: prompts and recordings)") in found


def test_event_socket_open_to_strangers(changed_rig: tuple[Rig, Path]) -> None:
    """The loaded configuration is read; the socket itself stays the same until a restart."""
    rig, conf = changed_rig
    path = conf / "autoload_configs/event_socket.conf.xml"
    before = path.read_text()
    try:
        path.write_text(re.sub(r".*(listen-ip|apply-inbound-acl).*\n", "", before))
        reload(rig)
        assert ("ok", "event socket: listens only on 127.0.0.1") in doctor(rig), "as FreeSWITCH has it"
        open_to_all = before.replace('"127.0.0.1"', '"0.0.0.0"').replace("loopback.auto", "any_v4.auto")
        path.write_text(re.sub('value="[^"]*password}"', 'value="ClueCon"', open_to_all))
        reload(rig)
        found = doctor(rig)
        assert ("wrong", "event socket: listens on 0.0.0.0, with access list any_v4.auto") in found, found
        assert ("wrong", "event socket: it has FreeSWITCH's default password") in found, found
        path.write_text(before.replace('"127.0.0.1"', '"0.0.0.0"'))
        reload(rig)
        found = doctor(rig)
        expected = "event socket: listens on 0.0.0.0, with access list loopback.auto"
        assert ("warning", expected) in found, found
    finally:
        path.write_text(before)
        reload(rig)


def test_spool_not_writable_by_the_switchs_user(tmp_path: Path) -> None:
    """The switch runs as another user, as packages run it."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a switch as another user")
    folder = Path("/tmp") / f"accord-doctor-{os.getpid()}"  # where everybody gets in
    try:
        rig = Rig(folder, copy(tmp_path))
        rig.spool.mkdir(mode=0o700)
        for each in ("log", "db", "run"):
            (folder / "switch" / each).mkdir(parents=True)
        shutil.copytree(tmp_path / "conf", folder / "conf")
        rig.switch.conf = folder / "conf"
        subprocess.run(["chown", "-R", "nobody", folder / "switch"], check=True)
        rig.switch.user = "nobody"
        rig.switch.start()
        bad = [what for state, what in doctor(rig) if state == "wrong"]
        assert f"recording: the switch's user nobody may not write to {rig.spool}" in bad
        rig.spool.chmod(0o711)
        bad = [what for state, what in doctor(rig) if state == "wrong"]
        assert f"recording: the switch's user nobody may not write to {rig.spool}" in bad
        rig.spool.chmod(0o777)
        assert {state for state, _ in doctor(rig)} == {"ok"}
        for each in (rig.snapshot / "prompts").iterdir():
            each.chmod(0o600)
        bad = [what for state, what in doctor(rig) if state == "wrong"]
        assert any("may not read 1 prompts" in what for what in bad), bad
        rig.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_spool_under_another_name(changed_rig: tuple[Rig, Path], tmp_path: Path) -> None:
    """As in a container: the folder does not exist in the switch's root."""
    rig, _ = changed_rig
    until("the switch answers", lambda: "UP" in rig.switch.esl.api("status"))
    bad = [what for state, what in doctor(rig, ACCORD_NODE_SPOOL=str(tmp_path / "none")) if state == "wrong"]
    assert any(what.startswith("recording:") for what in bad), bad
