"""Writes transcripts of the bytes between a real switch and the daemon.

    ACCORD_FREESWITCH=/path/to/freeswitch python -m tests.scenarios.capture

Two proxies stand on the two sockets of one running daemon while calls are made; ``transcripts/`` gets one
file per connection.  A line is one piece as it was read: milliseconds since the start of the connection, the
sender, and the bytes (as ISO 8859-1, one character each).  They run in ``/tmp/accord``, so that no path is
this machine's.
"""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.freeswitch.switches import Rig, free_ports, until

FOLDER = Path("/tmp/accord")
TRANSCRIPTS = Path(__file__).parent / "transcripts"


@dataclass
class ConnectionCapture:
    """One connection, recorded."""

    start: float = field(default_factory=time.monotonic)
    pieces: list[tuple[int, str, bytes]] = field(default_factory=list)

    def add(self, who: str, data: bytes) -> None:
        self.pieces.append((round((time.monotonic() - self.start) * 1000), who, data))

    def sent_by(self, who: str) -> bytes:
        return b"".join(data for _, speaker, data in self.pieces if speaker == who)

    def write(self, path: Path) -> None:
        lines = [
            json.dumps({"at_ms": at, "from": who, "bytes": data.decode("latin-1")}) + "\n"
            for at, who, data in self.pieces
        ]
        path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


class Tap:
    """Listens on ``port``, forwards everything to ``target`` and records it."""

    def __init__(self, port: int, target: int, listener: str, dialler: str) -> None:
        self.connections: list[ConnectionCapture] = []
        self._target, self._listener, self._dialler = target, listener, dialler
        self._server = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            tapped = ConnectionCapture()
            self.connections.append(tapped)
            for source, sink, who in ((near, far, self._dialler), (far, near, self._listener)):
                threading.Thread(target=self._pass, args=(source, sink, who, tapped), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, who: str, tapped: ConnectionCapture) -> None:
        try:
            while data := source.recv(1 << 16):
                tapped.add(who, data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    rig = Rig(FOLDER)
    switch_port, listen_port = free_ports(2)
    standing_tap = Tap(switch_port, rig.switch.esl_port, "switch", "daemon")
    arrivals = Tap(rig.daemon_port, listen_port, "daemon", "switch")
    rig.settings["switch_port"], rig.settings["listen_port"] = switch_port, listen_port
    calls = {}
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        for name in ("announced", "hold_in_announcement", "hung_up_in_announcement"):
            before = len(arrivals.connections)
            call = rig.call()
            until("it is announced", rig.recorded_now, every=0.01)
            if name == "hold_in_announcement":
                time.sleep(0.4)
                call.hold()
                time.sleep(0.5)
                call.unhold()
            if name == "hung_up_in_announcement":
                time.sleep(0.4)
            else:
                call.wait_bridged()
                time.sleep(1)
            call.hang_up()
            call.wait_take()
            rig.hang_up_all()
            calls[name] = arrivals.connections[before]
        time.sleep(0.5)
    finally:
        rig.stop()
    TRANSCRIPTS.mkdir(exist_ok=True)
    for name, tapped in calls.items():
        tapped.write(TRANSCRIPTS / f"call.{name}.jsonl.gz")
    standing_tap.connections[-1].write(TRANSCRIPTS / "standing.jsonl.gz")
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
