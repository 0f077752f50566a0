"""A real object store that is unavailable, hangs, cuts connections or answers nonsense, for real workers."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.catalogue import queries
from recorder.pipeline import stages
from recorder.seal.verification import verify
from recorder.spool import layout
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket
from recorder.store.seaweedfs import PORTS, SeaweedFS
from tests.ports import free_ports
from tests.processes import Installation, stored_in
from tests.waiting import until

pytestmark = pytest.mark.long

PIECE = 65536


class Proxy:
    """A TCP proxy to a port on loopback. Its ``mode`` decides what happens to connections:

    ``pass``       forwards
    ``cut``        closes existing connections and refuses new ones: the port is closed
    ``black hole`` accepts connections and bytes, and forwards nothing in either direction
    ``reset``      forwards the first :attr:`after` bytes of a request, then resets
    ``slow``       waits for :attr:`delay` seconds before each piece
    ``garbage``    answers with something that is not HTTP
    ``full``       answers 507, as a server with a full disk
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.mode = "pass"
        self.after = 20_000
        self.delay = 0.3
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode: str) -> None:
        """Set the mode."""
        before, self.mode = self.mode, mode
        if mode == "cut" and before != "cut":
            self._deafen()
            self._drop()
        elif before == "cut" and mode != "cut":
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, daemon=True).start()
        elif before == "black hole":
            self._drop()  # hung connections are closed

    def before(self, bucket: Bucket) -> Bucket:
        """The bucket, reached through this proxy."""
        return replace(bucket, endpoint=f"http://127.0.0.1:{self.port}")

    def end(self) -> None:
        self._ended.set()
        self._deafen()
        self._drop()

    def _deafen(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # accept() returns, which frees the port
        self._listener.close()

    def _drop(self) -> None:
        with self._lock:
            found, self._open = self._open, set()
        for each in found:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        listener = self._listener
        while not self._ended.is_set():
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near:
            self._keep(near)
            answer = {
                "garbage": b"\x16\x03\x01 this is no HTTP\r\n\r\n" * 20,
                "full": b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            }.get(self.mode)
            if answer is not None:
                with contextlib.suppress(OSError):
                    near.recv(PIECE)
                    near.sendall(answer)
                    near.shutdown(socket.SHUT_WR)
                    while near.recv(PIECE):
                        pass
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                return
            with far:
                far.settimeout(None)
                self._keep(far)
                with contextlib.suppress(OSError):
                    self._forward(near, far)

    def _keep(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.add(sock)

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        count = 0
        with selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while not self._ended.is_set():
                if self.mode == "black hole":
                    self._ended.wait(0.02)
                    continue
                for key, _ in selector.select(0.1):
                    source, target = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    data = source.recv(PIECE)
                    if not data:
                        return
                    if self.mode == "slow":
                        time.sleep(self.delay)
                    target.sendall(data)
                    count += len(data) if source is near else 0
                    if self.mode == "reset" and count > self.after:
                        # No FIN: the connection is reset, as by a rebooted machine.
                        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return


NXDOMAIN = 3
ADDRESS = 1


class NameServer:
    """A name server on loopback. In the ``mode`` ``answer`` it resolves every name to 127.0.0.1; with
    ``nothing`` it is silent (a resolver waits five seconds twice), with ``unknown`` there is no such name.

    A process uses it in a mount namespace whose ``/etc/resolv.conf`` names it (:meth:`inside`), at a loopback
    address with a free port 53."""

    def __init__(self, folder: Path, mode: str = "unknown") -> None:
        self.mode = mode
        self.request_count = 0
        self._file = folder / "resolv.conf"
        self._address = "127.5.3.53"
        self._file.write_text(f"nameserver {self._address}\n")
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._sock.bind((self._address, 53))
        except OSError as error:
            pytest.skip(f"port 53 cannot be had for a name server: {error}")
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()

    def inside(self) -> tuple[str, ...]:
        """The prefix of a command that uses this name server."""
        before = ("unshare", "--mount", "--propagation", "private")
        script = f'mount --bind {self._file} /etc/resolv.conf && exec "$@"'
        command = (*before, "sh", "-c", script, "sh")
        if shutil.which("unshare") is None:
            pytest.skip("unshare is not installed")
        probe = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
        if probe.returncode:
            pytest.skip(f"a mount namespace cannot be made here: {probe.stderr.strip()}")
        return command

    def end(self) -> None:
        """Release the port, which a reading thread would hold after the close."""
        self._sock.sendto(b"", self._sock.getsockname())
        self._server.join()
        self._sock.close()

    def _serve(self) -> None:
        while True:
            question, who = self._sock.recvfrom(512)
            if not question:
                return
            self.request_count += 1
            if self.mode != "nothing":
                self._sock.sendto(self._answer(question), who)

    def _answer(self, question: bytes) -> bytes:
        """The response (RFC 1035, section 4): the question, and for an address the answer."""
        end = question.index(b"\0", 12) + 5
        kind = struct.unpack("!H", question[end - 4 : end - 2])[0]
        found = self.mode == "answer" and kind == ADDRESS
        code = NXDOMAIN if self.mode == "unknown" else 0
        head = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, int(found), 0, 0)
        answer = struct.pack("!HHHIH", 0xC00C, ADDRESS, 1, 1, 4) + socket.inet_aton("127.0.0.1")
        return head + question[12:end] + (answer if found else b"")


@pytest.fixture(scope="module")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    server = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"), free_ports(PORTS))
    server.start()
    yield server
    server.stop(seconds=0)


@pytest.fixture
def proxy(seaweedfs: SeaweedFS, processes: Installation) -> Iterator[Proxy]:
    """A proxy between the worker and its store."""
    endpoint = seaweedfs.bucket().endpoint
    assert endpoint is not None
    started_proxy = Proxy(int(endpoint.rpartition(":")[2]))
    processes.settings |= stored_in(started_proxy.before(seaweedfs.bucket()))
    yield started_proxy
    started_proxy.end()


def stored(house) -> set[str]:
    return {row.id for row in queries.recordings(house.tenant, limit=200).rows}


def whole(house, server: SeaweedFS, recording: str) -> bool:
    """Verify that every block in the bucket is as sealed."""
    row = queries.recording(house.tenant, recording)
    assert row is not None
    means = house.services
    report = verify(S3Store(server.bucket()), row.prefix, means.root, means.keyring)
    assert report.ok, report.findings
    return True


FAULTS = [
    "cut",
    *(
        pytest.param(mode, marks=pytest.mark.long)
        for mode in ("reset", "black hole", "slow", "garbage", "full")
    ),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_connection_loses_nothing(
    house, processes: Installation, proxy: Proxy, seaweedfs: SeaweedFS, clock, fault: str
) -> None:
    """The connection breaks before the worker stores, and again in the middle. Meanwhile an unrecorded call
    is listed, and the heartbeat continues."""
    proxy.set(fault)
    folders = [house.take(talk_ms=6000)]
    process = processes.start("worker")
    if fault == "black hole":
        until("as far as it gets", lambda: stages.next_stage(folders[0]) == "store")
    elif fault != "slow":
        until("a failure that is written down", lambda: process.log("take.delayed"))
        assert {entry["stage"] for entry in process.log("take.delayed")} == {"store"}
    if fault != "slow":
        assert folders[0].exists()
        assert stored(house) == set()
    clock.forward(seconds=1)
    house.unrecorded()
    until("what needs no store goes on", lambda: queries.not_recorded(house.tenant).rows)
    proxy.set("pass")
    until("the recording, once it is back", lambda: stored(house) == {folders[0].name})
    for _ in range(3):
        clock.forward(seconds=1)
        folders.append(house.take(talk_ms=6000))
        proxy.set(fault)
        time.sleep(0.3)
        proxy.set("pass")
    until("all of them", lambda: stored(house) == {folder.name for folder in folders})
    until("an empty spool", lambda: not list(layout.finished_takes(house.spool)))
    assert process.stop() == 0
    for folder in folders:
        assert whole(house, seaweedfs, folder.name)


@pytest.mark.long
def test_stopped_store(house, clock, processes: Installation, proxy: Proxy, seaweedfs: SeaweedFS) -> None:
    """After SIGSTOP the kernel accepts connections, but nobody answers."""
    processes.settings["ACCORD_STORE_ENDPOINT"] = seaweedfs.bucket().endpoint or ""
    pid = seaweedfs.pid
    assert pid is not None
    folders = []
    for _ in range(6):  # more than are stored at the same time
        folders.append(house.take(talk_ms=500))
        clock.forward(seconds=1)
    os.kill(pid, signal.SIGSTOP)
    try:
        process = processes.start("worker")
        until("as far as they get", lambda: all(stages.next_stage(folder) == "store" for folder in folders))
        time.sleep(1)
        house.unrecorded()
        until("what needs no store goes on", lambda: queries.not_recorded(house.tenant).rows, 15)
        assert all(folder.exists() for folder in folders)
    finally:
        os.kill(pid, signal.SIGCONT)
    until("the recordings", lambda: stored(house) == {folder.name for folder in folders})
    assert process.stop() == 0
    for folder in folders:
        assert whole(house, seaweedfs, folder.name)


@pytest.mark.parametrize("mode", ["unknown", pytest.param("nothing", marks=pytest.mark.long)])
def test_unresolvable_store_name(
    house, processes: Installation, seaweedfs: SeaweedFS, tmp_path: Path, mode: str
) -> None:
    """DNS is unavailable or silent, so the store's name has no address for a while. The worker's resolver is
    our own server, in a separate mount namespace."""
    names = NameServer(tmp_path, mode)
    port = (seaweedfs.bucket().endpoint or "").rpartition(":")[2]
    processes.settings |= stored_in(replace(seaweedfs.bucket(), endpoint=f"http://store.accord.test:{port}"))
    try:
        folder = house.take()
        process = processes.start("worker", before=names.inside())
        until("a failure that is written down", lambda: process.log("take.delayed"), 120)
        delay = process.log("take.delayed")[0]
        assert (delay["stage"], delay["error_id"]) == ("store", "store.unreachable")
        house.unrecorded()
        until("what needs no store goes on", lambda: queries.not_recorded(house.tenant).rows, 15)
        names.mode = "answer"
        until("the recording, once the name is resolved", lambda: stored(house) == {folder.name})
        assert process.stop() == 0
        assert names.request_count > 0
    finally:
        names.end()
    assert whole(house, seaweedfs, folder.name)
