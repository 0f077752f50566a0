"""DNS of our own for one process: a server on loopback that answers, refuses, or says nothing."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest

NXDOMAIN = 3
ADDRESS = 1


class Names:
    """Answers for every name with 127.0.0.1 while its ``mode`` is ``answer``; with ``nothing`` it says
    nothing (whoever asks waits five seconds twice, as is usual), with ``unknown`` that there is no such name.

    A process asks it in a mount namespace where ``/etc/resolv.conf`` names it (:meth:`inside`), on an
    address of loopback's own where port 53 is free."""

    def __init__(self, folder: Path, mode: str = "unknown") -> None:
        self.mode = mode
        self.asked = 0
        self._file = folder / "resolv.conf"
        self._address = "127.5.3.53"
        self._file.write_text(f"nameserver {self._address}\n")
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._sock.bind((self._address, 53))
        except OSError as error:
            pytest.skip(f"port 53 cannot be had for a name server: {error}")
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._serving.start()

    def inside(self) -> tuple[str, ...]:
        """What goes before a command that is to ask here."""
        before = ("unshare", "--mount", "--propagation", "private")
        script = f'mount --bind {self._file} /etc/resolv.conf && exec "$@"'
        command = (*before, "sh", "-c", script, "sh")
        if shutil.which("unshare") is None:
            pytest.skip("unshare is not installed")
        tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            pytest.skip(f"a mount namespace cannot be made here: {tried.stderr.strip()}")
        return command

    def end(self) -> None:
        """Let go of the port: a thread that reads would hold it after the close."""
        self._sock.sendto(b"", self._sock.getsockname())
        self._serving.join()
        self._sock.close()

    def _serve(self) -> None:
        while True:
            question, who = self._sock.recvfrom(512)
            if not question:
                return
            self.asked += 1
            if self.mode != "nothing":
                self._sock.sendto(self._answer(question), who)

    def _answer(self, question: bytes) -> bytes:
        """RFC 1035, section 4: the question again, and for an address, the answer."""
        end = question.index(b"\0", 12) + 5
        kind = struct.unpack("!H", question[end - 4 : end - 2])[0]
        found = self.mode == "answer" and kind == ADDRESS
        code = NXDOMAIN if self.mode == "unknown" else 0
        head = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, int(found), 0, 0)
        answer = struct.pack("!HHHIH", 0xC00C, ADDRESS, 1, 1, 4) + socket.inet_aton("127.0.0.1")
        return head + question[12:end] + (answer if found else b"")
