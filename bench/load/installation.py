"""The switch under load, and Accord beside it: real processes, started as an operator starts them."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from bench.load.phones import Ports
from bench.load.usage import descendants
from recorder import config
from recorder.processes.services import Context
from tests.announcements import announcement_in
from tests.freeswitch.process import Switch, until
from tests.freeswitch.switches import CONF

Mode = Literal["accord", "recorded", "plain"]
"""All of Accord; the dialplan alone, recorded; the dialplan alone, not recorded."""

NUMBER: Final = "+3225550101"
CUSTOMER: Final = "Menuiserie Dubois"
LANGUAGE: Final = "fr"

_BARE = """<include>
  <extension name="bare"><condition field="destination_number" expression="^(\\+?[0-9]{2,15})$">
    <action application="set" data="playback_terminators=none"/>
    <action application="set" data="hangup_after_bridge=true"/>
    <action application="answer"/>
    RECORD
    <action application="playback" data="PROMPT"/>
    <action application="bridge" data="sofia/accord/$1@$${accord_route}"/>
  </condition></extension>
</include>
"""

_RECORD = (
    '<action application="record_session" data="\'SOUND/${caller_id_number}.wav\' '
    '{RECORD_STEREO=true,enable_file_write_buffering=false}"/>'
)


@dataclass
class Installation:
    """One switch in ``folder``, with or without Accord; see :data:`Mode`.

    ``sound`` is where the bare dialplan records.  ``store`` is the settings' ``kind``; ``s3`` is the
    embedded SeaweedFS.  ``more`` is added to Accord's environment; ``sound_format`` is what is stored.
    """

    folder: Path
    mode: Mode
    store: str = "s3"
    more: dict[str, str] = field(default_factory=dict)
    sound_format: str = "opus"
    environment: dict[str, str] = field(init=False)
    sip_port: int = field(init=False)
    phones: Ports = field(init=False)
    switch: Switch = field(init=False)
    _accord: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        base = _free_block(32)
        self.sip_port = base
        self.phones = Ports(base + 1, base + 2, base + 3, 16000)
        self.sound.mkdir(parents=True)
        password = secrets.token_hex(16)
        self.environment = {
            "ACCORD_SWITCH_PASSWORD": password,
            "ACCORD_SWITCH_PORT": str(base + 4),
            "ACCORD_SWITCH_LISTEN_PORT": str(base + 5),
            "ACCORD_METRICS_DAEMON_PORT": str(base + 6),
            "ACCORD_METRICS_WORKER_PORT": str(base + 7),
            "ACCORD_METRICS_WEB_PORT": "0",
            "ACCORD_WEB_PORT": str(base + 8),
            "ACCORD_WEB_SECURE_COOKIES": "false",
            "ACCORD_NODE_DATA": str(self.folder / "accord"),
            "ACCORD_STORE_KIND": self.store,
            "ACCORD_STORE_EMBEDDED": str(self.store == "s3").lower(),
            "ACCORD_STORE_EMBEDDED_PORT": str(base + 16),
            "ACCORD_SIP_PORT": str(self.sip_port),
            "ACCORD_OUTBOUND_PORT": str(base + 9),
            "ACCORD_RTP_START": "10000",
            "ACCORD_RTP_END": "15998",
            "ACCORD_ROUTE": f"127.0.0.1:{self.phones.callees}",
            **self.more,
        }
        conf = self.folder / "conf"
        shutil.copytree(CONF, conf)
        if self.mode != "accord":
            prompt = announcement_in(LANGUAGE)
            record = _RECORD.replace("SOUND", str(self.sound)) if self.mode == "recorded" else ""
            bare = _BARE.replace("RECORD", record).replace("PROMPT", str(prompt.path))
            (conf / "dialplan/public/00_a_bare.xml").write_text(bare, "utf-8")
        self.switch = Switch(
            self.folder / "switch", conf, self.environment, base + 4, password, own_session=True
        )

    @property
    def sound(self) -> Path:
        return self.folder / "sound"

    @property
    def spool(self) -> Path:
        return self.context.settings.node.spool_folder

    @property
    def context(self) -> Context:
        """Accord's settings, for examining what it made."""
        return Context(config.load(None, self.environment), None)

    def start(self) -> None:
        """Start the switch, then Accord, and wait until a call would be recorded."""
        self.switch.start()
        if self.mode == "accord":
            self._set_up()
            self._start_accord()

    def pids(self) -> dict[str, list[int]]:
        """Process ids by kind of process."""
        switch = self.switch.process
        found: dict[str, list[int]] = {"switch": [switch.pid] if switch else []}
        if self._accord is not None:
            for pid, argv in descendants(self._accord.pid).items():
                found.setdefault(_name(argv), []).append(pid)
        return found

    def metrics(self) -> str:
        """The daemon's metrics; empty if there is none, or it does not answer."""
        if self._accord is None:
            return ""
        url = f"http://127.0.0.1:{self.environment['ACCORD_METRICS_DAEMON_PORT']}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError as error:
            print(f"the daemon does not serve its metrics: {error}", file=sys.stderr)
            return ""

    def stop_accord(self) -> None:
        """Stop it as an operator does; its data stays."""
        if self._accord is not None:
            self._accord.terminate()
            self._accord.wait(60)
            self._accord = None

    def stop(self) -> None:
        """End everything."""
        try:
            self.stop_accord()
        finally:
            self.switch.stop()

    def _command(self, *words: str) -> None:
        environment = {**os.environ, **self.environment}
        subprocess.run(
            [sys.executable, "-m", "recorder", *words],
            check=True, env=environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def _set_up(self) -> None:
        self._command("key", "init")
        self._command("migrate")
        self._command("tenant", "create", CUSTOMER, "--language", LANGUAGE)
        self._command("line", "add", "--tenant", CUSTOMER, "--format", self.sound_format, NUMBER)

    def _start_accord(self) -> None:
        with open(self.folder / "accord.log", "wb") as log:
            self._accord = subprocess.Popen(
                [sys.executable, "-m", "recorder", "run"],
                stdout=log, stderr=log, start_new_session=True, env={**os.environ, **self.environment},
            )  # fmt: skip
        until("the daemon watches the switch", lambda: self._has_logged(b"switch.up"), 60, 0.2)
        until("the daemon knows its lines", lambda: self._has_logged(b"snapshot.read"), 60, 0.2)

    def _has_logged(self, what: bytes) -> bool:
        return what in (self.folder / "accord.log").read_bytes()


def _name(argv: list[str]) -> str:
    words = [Path(word).name for word in argv]
    if "recorder.pipeline.encoders" in words:
        return "encoder"
    if any(word.startswith("weed") for word in words):
        return "store"
    last = words[-1] if words else ""
    return last if last in ("daemon", "worker", "web") else "supervisor"


def _free_block(count: int) -> int:
    """The first of so many consecutive free ports, for TCP and UDP."""
    for first in range(24000, 29000, count):
        sockets = []
        try:
            for port in range(first, first + count):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    sock = socket.socket(socket.AF_INET, kind)
                    sockets.append(sock)
                    sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        else:
            return first
        finally:
            for sock in sockets:
                sock.close()
    raise RuntimeError("no ports are free")
