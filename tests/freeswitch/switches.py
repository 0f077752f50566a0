"""Two real FreeSWITCH processes on loopback: the one under test, and one that plays the phones."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import soundfile

from recorder.domain.line_policy import Announcement, LinePolicy
from recorder.processes.supervisor import Program, Supervisor
from recorder.spool import layout
from recorder.spool.snapshot import INDEX, write_snapshot
from tests.freeswitch.process import Esl, Switch, binary, free_ports, rtp_ports, until
from tests.freeswitch.sound import RATE, chirp, heard_whole, level, onset_of, read_wav
from tests.processes import SOURCE, supervised
from tests.scenarios.files import SAYS_YES

__all__ = [
    "CONF", "HERE", "HOME", "NUMBER", "PASSWORD", "PAUSE_SECONDS", "RATE", "SCHEDULER_S", "WAIT_S",
    "CallUnderTest", "Esl", "Rig", "binary", "chirp", "free_ports", "heard_whole", "level", "onset_of",
    "read_wav", "until",
]  # fmt: skip

HERE = Path(__file__).parent
CONF = HERE.parents[1] / "freeswitch_conf"
PASSWORD = "only-for-this-test-1"
WAIT_S = 3
"""Seconds that a call waits for the daemon to begin (``accord_wait``), and the scheduler's resolution."""
SCHEDULER_S = 1
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""The switch's value for a time that never was."""
NUMBER = "322550100"
"""The tests' lines are this plus two digits, which select what the called phone does."""
HOME = "data of the node"
"""The folder of spool and snapshot: each path that the daemon sends to the switch contains spaces."""
PAUSE_SECONDS = 6
"""Seconds after which a pause ends by itself in the tests."""


@dataclass
class CallUnderTest:
    """A call: ``id`` is the caller's leg on the phones' switch, ``caller`` the calling number."""

    rig: Rig
    id: str
    number: str
    caller: str
    _leg: str | None = None

    @property
    def outside(self) -> str:
        """The external party's number."""
        return self.caller

    @property
    def heard_outside(self) -> Path:
        """The file with the audio that the external party's phone heard."""
        return self.heard_by_caller

    @property
    def heard_by_caller(self) -> Path:
        return self.rig.phones_folder / f"caller-{self.id}.wav"

    @property
    def heard_by_callee(self) -> Path:
        return self.rig.phones_folder / f"callee-{self.number}-{self.caller}.wav"

    @property
    def leg(self) -> str | None:
        """The external leg's id on the switch under test; its list of channels lags by up to a second."""
        if self._leg is None:
            for row in self.rig.switch.channels():
                if row["direction"] == "inbound" and row["cid_num"] == self.caller:
                    self._leg = row["uuid"]
        return self._leg

    def variable(self, name: str) -> str:
        leg = self.leg or until(f"call {self.caller} is listed", lambda: self.leg, 3)
        return self.rig.switch.esl.api(f"uuid_getvar {leg} {name}")

    def connected_after(self) -> float:
        """Return the seconds from the call's arrival to its bridge, by the switch's clock."""
        return (self.connected_at() - self._moment("Created")).total_seconds()

    def connected_at(self) -> datetime:
        """Return the time of the last bridge, by the switch's clock."""
        until(f"call {self.caller} is listed", lambda: self.leg, 3)
        until(f"call {self.caller} is connected", lambda: self._moment("Bridged") > NEVER, 3)
        return self._moment("Bridged")

    def _moment(self, name: str) -> datetime:
        lines = self.rig.switch.esl.api(f"uuid_dump {self.leg}").splitlines()
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        return NEVER + timedelta(microseconds=int(headers[f"Caller-Channel-{name}-Time"]))

    @property
    def answered(self) -> bool:
        """Whether the called phone has answered and receives audio."""
        return self.heard_by_callee.exists()

    def wait_bridged(self, seconds: float = 30) -> None:
        until(f"call {self.caller} is connected", lambda: self.answered, seconds, 0.05)

    def markers_now(self) -> list[str]:
        """Return the kinds of the markers so far."""
        folder = self.take()
        return [] if folder is None else [marker.kind for marker in layout.read_markers(folder)]

    def alive(self) -> bool:
        return self.rig.phones.esl.api(f"uuid_exists {self.id}") == "true"

    def key(self, key: str) -> None:
        self.rig.phones.esl.api(f"uuid_send_dtmf {self.id} {key}")

    def speak(self) -> None:
        """Play a spoken word instead of the tone."""
        self.rig.phones.esl.api(f"uuid_displace {self.id} start {SAYS_YES}")

    def hold(self) -> None:
        self.rig.phones.esl.api(f"uuid_hold {self.id}")

    def unhold(self) -> None:
        self.rig.phones.esl.api(f"uuid_hold off {self.id}")

    def hang_up(self) -> None:
        self.rig.phones.esl.api(f"uuid_kill {self.id}")

    def outside_hangs_up(self) -> None:
        self.hang_up()

    def take(self) -> Path | None:
        """Return its folder in the spool."""
        for path in self.rig.spool.glob(f"*/{layout.CALL}"):
            if layout.read_start(path.parent).external_party.value.endswith(self.outside):
                return path.parent
        return None

    def wait_take(self, seconds: float = 15) -> layout.Take:
        def ended() -> Path | None:
            folder = self.take()
            return folder if folder and (folder / layout.END).exists() else None

        try:
            folder = until(f"the take of {self.caller} is closed", ended, seconds, 0.05)
        except AssertionError:
            print((self.rig.folder / "daemon.log").read_text())
            print([str(path) for path in self.rig.spool.rglob("*")])
            raise
        assert isinstance(folder, Path)
        return layout.read_take(folder)


class Rig:
    """Switch, phones, daemon and their files."""

    def __init__(
        self, folder: Path, conf: Path = CONF, extra: dict[str, str] | None = None, *, real_time: bool = True
    ) -> None:
        self.folder = folder
        self.phones_folder = folder / "phones-sound"
        self.phones_folder.mkdir(parents=True)
        self.spool = folder / HOME / "spool"
        self.snapshot = folder / HOME / "snapshot"
        sip, esl, daemon, phones_sip, phones_esl, out = free_ports(6)
        base = rtp_ports()
        self.sip_port, self.daemon_port, self.out_port = sip, daemon, out
        self.environment = {
            "ACCORD_SWITCH_PASSWORD": PASSWORD,
            "ACCORD_SWITCH_PORT": str(esl),
            "ACCORD_SWITCH_LISTEN_PORT": str(daemon),
            "ACCORD_SIP_PORT": str(sip),
            "ACCORD_RTP_START": str(base),
            "ACCORD_RTP_END": str(base + 798),
            "ACCORD_ROUTE": f"127.0.0.1:{phones_sip}",
            "ACCORD_OUTBOUND_PORT": str(out),
            "ACCORD_TRUNK": f"127.0.0.1:{phones_sip}",
            "ACCORD_NEVER_RECORD": r"^(\+?32255010099)$",
            "ACCORD_EXTERNAL_NUMBER": r"^(\+?322550100(97|98))$",
            "ACCORD_INFO_PROMPTS": str(self.snapshot / "info_prompts"),
            "ACCORD_PAUSE_SECONDS": str(PAUSE_SECONDS),
            **(extra or {}),
        }
        self.switch = Switch(folder / "switch", conf, self.environment, esl, PASSWORD, real_time=real_time)
        self.phones = Switch(
            folder / "phones",
            HERE / "phones",
            {
                "PHONES_SIP_PORT": str(phones_sip),
                "PHONES_ESL_PORT": str(phones_esl),
                "PHONES_RTP_START": str(base + 800),
                "PHONES_RTP_END": str(base + 1598),
                "PHONES_PASSWORD": PASSWORD,
                "PHONES_FOLDER": str(self.phones_folder),
            },
            phones_esl,
            PASSWORD,
            real_time=real_time,
        )
        self.settings = {
            "node": "test",
            "spool": str(self.spool),
            "snapshot": str(self.snapshot),
            "password": PASSWORD,
            "switch_port": esl,
            "listen_port": daemon,
        }
        self.daemon: subprocess.Popen[bytes] | None = None
        self.prompt = chirp()
        self._calls = 0
        self.write_sounds()
        self.write_snapshot()

    # --- files

    def write_sounds(self) -> None:
        """Write the voices: the caller is 440 Hz, the callee 1000 Hz, without a pause."""
        seconds = np.arange(RATE * 60) / RATE
        for name, pitch in (("caller", 440), ("callee", 1000)):
            sound = 0.3 * np.sin(2 * np.pi * pitch * seconds)
            soundfile.write(self.phones_folder / f"{name}.wav", sound, RATE)

    def write_snapshot(self, prompt: np.ndarray | None = None) -> None:
        """Write a snapshot with a line for every number of the tests, all with the same announcement."""
        sound = self.prompt if prompt is None else prompt
        self.prompt = sound
        (self.snapshot / "prompts").mkdir(parents=True, exist_ok=True)
        path = self.snapshot / "prompts" / "new.wav"
        soundfile.write(path, sound, RATE, subtype="PCM_16")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.rename(path.with_name(f"{digest}.wav"))
        announcement = Announcement(
            "a1", 1, "en", "a chirp", ("agreement",), 30, digest, len(sound) * 1000 // RATE
        )
        lines = [
            LinePolicy("t1", f"l{n}", f"{NUMBER}{n:02}", "notice", "before_ringing", ("opus",), announcement)
            for n in range(90)
        ]
        write_snapshot(self.snapshot, lines, [f"{NUMBER}89"], datetime.now(UTC))

    # --- processes

    def start(self) -> None:
        self.phones.start()
        self.switch.start()

    @contextlib.contextmanager
    def run(self) -> Iterator[Rig]:
        """Run switch, phones and a daemon that has reconciled, until the block ends."""
        try:
            self.start()
            self.start_daemon()
            self.wait_watching()
            yield self
        finally:
            self.stop()

    def program(self, **settings: object) -> list[str]:
        return [sys.executable, str(HERE / "run_daemon.py"), json.dumps({**self.settings, **settings})]

    def start_daemon(self, broken_disk: bool = False, **settings: object) -> subprocess.Popen[bytes]:
        self.kill_daemon()
        self.daemon = self.spawn_daemon(broken_disk, **settings)
        self.wait_daemon()
        return self.daemon

    def spawn_daemon(self, broken_disk: bool = False, **settings: object) -> subprocess.Popen[bytes]:
        """Start a daemon without waiting for it."""
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        if broken_disk:
            environment["TEST_BROKEN_DISK"] = "1"
        with open(self.folder / "daemon.log", "ab") as log:
            return subprocess.Popen(self.program(**settings), stdout=log, stderr=log, env=environment)

    def wait_watching(self) -> None:
        """Wait until the daemon has reconciled with the switch."""
        log = self.folder / "daemon.log"
        until(
            "the daemon watches", lambda: b"switch.up" in log.read_bytes().rpartition(b"daemon.listening")[2]
        )

    def wait_snapshot(self) -> None:
        """Wait until the daemon has read the current snapshot."""
        log = self.folder / "daemon.log"
        before = log.read_bytes().count(b"snapshot.read")
        # Another time than the file's, which may be of this very tick of the clock.
        later = os.stat(self.snapshot / INDEX).st_mtime_ns + 1_000_000
        os.utime(self.snapshot / INDEX, ns=(later, later))
        until("the snapshot is read", lambda: log.read_bytes().count(b"snapshot.read") > before)

    def wait_daemon(self) -> None:
        def listens() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.daemon_port), 1):
                return True
            return False

        until("the daemon listens", listens, 20)

    @contextlib.contextmanager
    def watched_daemon(self) -> Iterator[Supervisor]:
        """Run the daemon under the product's own supervisor, in a thread."""
        argv = ["sh", "-c", f'exec "$@" >>{self.folder}/daemon.log 2>&1', "sh", *self.program()]
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        with supervised([Program("daemon", argv, has_heartbeat=True)], environment) as supervisor:
            self.wait_daemon()
            yield supervisor

    def kill_daemon(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGCONT)
            self.daemon.send_signal(number)
            self.daemon.wait(30)
        self.daemon = None

    def stop(self) -> None:
        self.kill_daemon()
        self.phones.stop()
        self.switch.stop()

    def fresh(self) -> None:
        """Empty the spool and write the default snapshot."""
        shutil.rmtree(self.spool, ignore_errors=True)
        (self.folder / "daemon.log").unlink(missing_ok=True)
        self.write_snapshot(chirp())

    def hang_up_all(self) -> None:
        self.phones.esl.api("hupall")
        self.switch.esl.api("hupall")
        self.switch.wait_empty()
        self.phones.wait_empty()

    # --- what is true of every test

    def recorded_now(self) -> set[str]:
        """Return the legs that Accord is recording now."""
        return {
            row["uuid"]
            for row in self.switch.channels()
            if str(self.spool) in self.switch.esl.api(f"uuid_buglist {row['uuid']}")
        }

    def assert_only_announced_audio_is_kept(self) -> None:
        """Check that every audio file in the spool belongs to a recorded take and contains the complete
        announcement."""
        for path in self.spool.rglob("*.wav"):
            take = layout.read_take(path.parent)
            assert take.end.outcome == "recorded", f"{path} is kept: {take.end}"
            onset = onset_of(read_wav(path)[:, 1], self.prompt)
            assert onset is not None, f"the announcement is not in {path}"

    # --- calls

    def call(self, number: str = f"{NUMBER}01", caller: str | None = None, more: str = "") -> CallUnderTest:
        """Have a phone call, with ``more`` variables (``,name=value``); return at once."""
        self._calls += 1
        caller = caller or f"3247{os.getpid() % 1000:03}{self._calls:04}"
        ident = str(uuid.uuid4())
        answer = self.phones.esl.command(
            f"bgapi originate {{origination_uuid={ident},origination_caller_id_number={caller},"
            f"absolute_codec_string=PCMU,ignore_early_media=true{more}}}"
            f"sofia/phones/{number}@127.0.0.1:{self.sip_port} talk XML caller"
        )
        assert "ERR" not in answer, answer
        return CallUnderTest(self, ident, number, caller)
