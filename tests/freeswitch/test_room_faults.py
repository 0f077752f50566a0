"""A room by telephone while its processes are killed: worker and daemon as they run, on the real switch.
Nobody hears more than what was loaded for them, for half a minute at most, and whoever is there hears the
room again. The panel does not run at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import gevent
import numpy as np
import pytest

from recorder.clock import utc_now
from recorder.domain.telephone_room import UNATTENDED_SECONDS
from recorder.features.disputes.dial_in import DialIn
from recorder.features.disputes.service import Disputes
from recorder.features.rooms.rules import RoomCommand
from recorder.features.rooms.service import Rooms
from tests.freeswitch.process import Switch, binary, free_ports, rtp_ports
from tests.freeswitch.switches import CONF
from tests.house import House
from tests.processes import PASSWORD, Installation, Process
from tests.unit.disputes.conftest import Scene

pytestmark = [pytest.mark.long, pytest.mark.skipif(binary() is None, reason="needs FreeSWITCH")]

NUMBER = "+3225550199"
DURATION_MS = 3_600_000
"""Longer than the recording: the row does not end the sound."""

LATE_S = 8
"""Seconds that the switch's scheduler and a busy machine may add."""


class Caller:
    """A telephone that has called: what it hears is in ``file``."""

    def __init__(self, site: Site, file: Path) -> None:
        self.site, self.file = site, file
        options = "{absolute_codec_string=PCMU,enable_file_write_buffering=false}"
        where = f"{options}sofia/accord/{NUMBER}@127.0.0.1:{site.sip}"
        answer = site.switch.esl.api(f"originate {where} &playback(silence_stream://-1)")
        self.uuid = answer.removeprefix("+OK ").strip()
        site.switch.esl.api(f"uuid_record {self.uuid} start {file}")

    def press(self, keys: str) -> None:
        for key in keys:
            self.site.switch.esl.api(f"uuid_send_dtmf {self.uuid} {key}")
            gevent.sleep(0.1)  # a person presses one key after the other

    @property
    def is_there(self) -> bool:
        return self.site.switch.esl.api(f"uuid_exists {self.uuid}").strip() == "true"

    def sound(self, since: int = 0) -> np.ndarray:
        """What it has heard since so many samples, as far as it is written."""
        data = self.file.read_bytes()[44 + 2 * since :] if self.file.exists() else b""
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2")

    def hears(self, seconds: float = 1.0) -> bool:
        """Whether there was sound in its last seconds."""
        sound = self.sound()[-int(8000 * seconds) :]
        return bool(len(sound)) and int(np.abs(sound.astype(int)).max()) > 300


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "house").mkdir()
        self.house = House(folder / "house", utc_now, os.urandom)
        bakery = self.house.customer("Boulangerie Martin", "+3225550100")
        self.house.person(bakery, "claire", "Claire Martin")
        self.house.person(bakery, "paul", "Paul Martin", role="customer_admin")
        call = self.house.call(bakery, times=20, at=utc_now() - timedelta(hours=2))
        self.scene = Scene(self.house, bakery, call, Disputes(self.house.changes))
        self.dispute, self.jan = self.scene.recognised()
        dial_in = DialIn(NUMBER, self.house.keyring, self.house.trust)
        guest = self.scene.guest(self.dispute)
        self.code = dial_in.code_of(self.scene.find(self.dispute), guest.id, utc_now()) or ""
        self.sounds = tempfile.TemporaryDirectory(dir="/dev/shm", prefix="accord-test-")
        Path(self.sounds.name).chmod(0o2750)
        self.sip, esl, listen = free_ports(3)
        first = rtp_ports()
        prompts = self.house.folder / "snapshot" / "room_prompts"
        shared = {"ACCORD_SWITCH_PASSWORD": PASSWORD, "ACCORD_SWITCH_PORT": str(esl)}
        self.switch = Switch(
            folder / "switch",
            CONF,
            {
                **shared, "ACCORD_SIP_PORT": str(self.sip), "ACCORD_OUTBOUND_PORT": str(free_ports(1)[0]),
                "ACCORD_RTP_START": str(first), "ACCORD_RTP_END": str(first + 400),
                "ACCORD_ROOM_NUMBER": r"^\+?3225550199$", "ACCORD_ROOM_PROMPTS": str(prompts),
                "ACCORD_SWITCH_LISTEN_PORT": str(listen),
            },
            esl,
            PASSWORD,
        )  # fmt: skip
        self.accord = Installation(
            self.house.folder,
            {
                **self.house.environment(), **shared, "ACCORD_STORE_PATH": str(self.house.bucket),
                "ACCORD_SWITCH_LISTEN_PORT": str(listen),
                "ACCORD_ROOMS_NUMBER": NUMBER, "ACCORD_ROOMS_SOUNDS": self.sounds.name,
            },
        )  # fmt: skip
        self.rooms, self.calls = Rooms(utc_now), 0
        self.switch.start()
        self.worker = self.accord.start("worker")
        self.daemon = self.accord.start("daemon")
        wait(lambda: (self.house.folder / "spool" / ".callers").exists())
        self.daemon.wait_for_log("switch.up")

    def call(self) -> Caller:
        self.calls += 1
        return Caller(self, self.folder / f"{self.calls}.wav")

    def come_in(self) -> Caller:
        """Somebody enters the code, says yes, and is in the room."""
        caller = self.call()
        wait(caller.hears)
        caller.press(self.code)
        count = self.worker.log_text().count("dial_in.entered")
        wait(lambda: self._says_yes(caller, count), 60)
        wait(lambda: self.members() > 0)
        return caller

    def _says_yes(self, caller: Caller, count: int) -> bool:
        caller.press("1")
        gevent.sleep(1)
        return self.worker.log_text().count("dial_in.entered") > count

    def members(self) -> int:
        answer = self.switch.esl.api(f"conference accord-room-{self.dispute.id} list count").strip()
        return int(answer) if answer.isdigit() else 0

    def has_sound(self) -> bool:
        conference = f"conference accord-room-{self.dispute.id}"
        return self.switch.esl.api(f"{conference} play_status").startswith("+OK")

    def play(self) -> None:
        """What somebody in a browser does."""
        recording = self.scene.call
        room = self.rooms.find(self.dispute.tenant, self.dispute.id, recording)
        command = RoomCommand("play", position_ms=1000)
        self.rooms.command(room, command, "claire", seq=room.seq, durations={recording: DURATION_MS})

    def listen(self) -> Caller:
        """Somebody who hears the room."""
        caller = self.come_in()
        wait(self.has_sound)
        self.play()
        self.hears_room(caller)
        return caller

    def hears_room(self, caller: Caller) -> None:
        """Wait until the room's sound is loaded and heard."""
        wait(self.has_sound, 40)
        wait(caller.hears, 40)

    def falls_silent(self, caller: Caller) -> None:
        """Wait until the switch has ended the sound by itself, in time; then nothing is heard."""
        wait(lambda: not self.has_sound(), UNATTENDED_SECONDS + LATE_S)
        wait(lambda: not caller.hears(0.5), 5)
        begin = len(caller.sound())
        wait(lambda: len(caller.sound()) > begin + 2 * 8000)
        assert not np.abs(caller.sound(begin).astype(int)).max() > 300

    def close(self) -> None:
        self.accord.close()
        self.switch.stop()
        self.house.close()
        self.sounds.cleanup()


def wait(condition: Callable[[], object], seconds: float = 30) -> None:
    with gevent.Timeout(seconds):
        while not condition():
            gevent.sleep(0.05)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.close()


def _restart(site: Site, name: str) -> Process:
    process = site.accord.start(name)
    wait(lambda: (site.house.folder / "spool" / ".callers").exists())
    return process


def test_a_killed_worker_leaves_silence_and_the_next_one_plays_on(site: Site) -> None:
    caller = site.listen()
    site.worker.kill()
    site.falls_silent(caller)
    assert caller.is_there
    assert not list(Path(site.sounds.name).iterdir())
    site.worker = _restart(site, "worker")
    wait(site.has_sound, 60)
    site.play()
    site.hears_room(caller)


def test_who_may_no_longer_listen_while_the_worker_is_dead_is_told_goodbye(site: Site) -> None:
    caller = site.listen()
    site.worker.kill()
    site.scene.invitations.withdraw_invitation(site.scene.claire, site.dispute.id, site.jan.id)
    site.falls_silent(caller)
    begin = len(caller.sound())
    site.worker = _restart(site, "worker")
    wait(lambda: not caller.is_there or caller.hears(), 60)
    assert not site.has_sound(), "what is heard is the goodbye"
    wait(lambda: not site.members())
    assert np.abs(caller.sound(begin).astype(int)).max() > 300


def test_a_killed_daemon_leaves_silence_and_the_next_one_plays_on(site: Site) -> None:
    caller = site.listen()
    site.daemon.kill()
    site.falls_silent(caller)
    assert caller.is_there
    site.daemon = _restart(site, "daemon")
    wait(site.has_sound, 60)
    site.play()
    site.hears_room(caller)


def test_after_the_switch_was_killed_people_come_in_again(site: Site) -> None:
    site.listen()
    site.switch.stop()
    site.switch.start()
    again = site.listen()
    assert again.is_there
    assert not list(Path(site.sounds.name).iterdir())
