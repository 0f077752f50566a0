"""Stores that are unavailable, slow, or refuse: the error, and that nothing partial is kept."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from recorder.errors import StoreError
from recorder.store.contract import NotFound, Unreachable
from recorder.store.retry import with_retries
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket, connect
from recorder.store.seaweedfs import SeaweedFS
from tests.expected_errors import expect_error
from tests.ports import free_ports

LARGE = 48 * 1024 * 1024


def make(path: Path, length: int) -> tuple[Path, str]:
    content = os.urandom(1024 * 1024) * (length // (1024 * 1024))
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


@pytest.mark.long
def test_server_killed_during_a_put(start_seaweedfs: Callable[[], SeaweedFS], tmp_path: Path) -> None:
    server = start_seaweedfs()
    store = S3Store(server.bucket())
    store.abilities()
    intact, kept_hash = make(tmp_path / "kept", 1024 * 1024)
    store.put("a/kept", intact, kept_hash)
    path, sha256 = make(tmp_path / "large", LARGE)
    pid = server.pid
    assert pid is not None

    class KillingBody(io.RawIOBase):
        """A request body during which the server is killed."""

        def __init__(self, body: BinaryIO) -> None:
            self.body = body

        def read(self, size: int = -1) -> bytes:
            if self.body.tell() > LARGE // 2:
                os.kill(pid, signal.SIGKILL)
            return self.body.read(size)

    def wrap(request: Any, **_: object) -> None:
        request.body = KillingBody(request.body)

    events = store._hash_in_header.meta.events
    events.register_first("before-send.s3.PutObject", wrap, unique_id="killing")
    with pytest.raises(Unreachable) as failure:
        store.put("a/large", path, sha256)
    events.unregister("before-send.s3.PutObject", wrap, unique_id="killing")
    assert failure.value.error_id == "store.unreachable"
    with pytest.raises(Unreachable):
        store.read("a/kept")
    with pytest.raises(Unreachable):
        list(store.list("a/"))

    server.stop(seconds=0)
    server.start()
    assert store.read("a/kept") == intact.read_bytes()
    assert list(store.list("a/")) == ["a/kept"]
    store.put("a/large", path, sha256)
    assert store.size("a/large") == LARGE
    assert hashlib.sha256(store.read("a/large")).hexdigest() == sha256


@pytest.fixture
def silent() -> Iterator[int]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def nowhere(port: int) -> Bucket:
    return Bucket("accord", "key", "secret", f"http://127.0.0.1:{port}", addressing="path", read_timeout=0.5)


def test_hung_server_is_unreachable_in_time(silent: int, tmp_path: Path) -> None:
    store = S3Store(nowhere(silent))
    path, sha256 = make(tmp_path / "file", 1024 * 1024)
    for operation in (
        lambda: store.read("a"),
        lambda: store.size("a"),
        lambda: list(store.list("")),
        lambda: store.delete("a"),
        lambda: store.put("a", path, sha256),
        store.abilities,
    ):
        start = time.monotonic()
        with pytest.raises(Unreachable) as failure:
            operation()
        assert time.monotonic() - start < 15
        assert "spool" in failure.value.hint


def test_closed_port_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        S3Store(nowhere(free_ports())).read("a")


class FixedAnswerServer(threading.Thread):
    """A server that gives each connection one fixed answer and counts the requests."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.answer = answer
        self.requests = 0

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                while connection.recv(65536).find(b"\r\n\r\n") < 0:
                    pass
                self.requests += 1
                connection.sendall(self.answer)


def head(status: str, length: int = 0) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("answer", "kind", "error_id"),
    [
        (head("503 Slow Down"), Unreachable, "store.busy"),
        (head("500 Oh"), Unreachable, "store.busy"),
        (head("429 Less"), Unreachable, "store.busy"),
        (head("200 OK", length=100) + b"half", Unreachable, "store.unreachable"),
        (b"", Unreachable, "store.unreachable"),
        (head("403 No"), StoreError, "store.denied"),
        (head("400 No"), StoreError, "store.failed"),
    ],
    ids=["503", "500", "429", "cut in the answer", "closed", "403", "400"],
)
def test_classifies_answers_without_retries(answer: bytes, kind: type[StoreError], error_id: str) -> None:
    server = FixedAnswerServer(answer)
    server.start()
    with pytest.raises(StoreError) as failure:
        S3Store(nowhere(server.port)).read("a")
    server.listener.close()
    assert type(failure.value) is kind
    assert failure.value.error_id == error_id
    assert server.requests == 1


def test_wrapper_retries_with_growing_pauses() -> None:
    server = FixedAnswerServer(head("503 Slow Down"))
    server.start()
    pauses: list[float] = []
    store = with_retries(S3Store(nowhere(server.port)), attempts=4, sleep=pauses.append, chance=lambda: 1.0)
    with pytest.raises(Unreachable):
        store.read("a")
    server.listener.close()
    assert server.requests == 4
    assert pauses == [0.2, 0.4, 0.8]


@pytest.mark.parametrize(
    ("also_the_hash", "error_id"), [(False, "store.hash_mismatch"), (True, "store.denied")]
)
def test_refuses_bytes_changed_in_transit(
    seaweedfs: SeaweedFS, tmp_path: Path, also_the_hash: bool, error_id: str
) -> None:
    """The body is not signed, but its SHA-256 in the header is."""
    store = S3Store(seaweedfs.bucket())
    store.abilities()
    path, sha256 = make(tmp_path / "audio", 1024 * 1024)

    def meddle(request: Any, **_: object) -> None:
        changed = request.body.read()[:-1] + b"?"
        request.body = changed
        if also_the_hash:
            checksum = base64.b64encode(hashlib.sha256(changed).digest())
            request.headers["x-amz-checksum-sha256"] = checksum.decode()

    store._hash_in_header.meta.events.register_first("before-send.s3.PutObject", meddle)
    with expect_error(StoreError, error_id):
        store.put("changed/audio", path, sha256)
    assert list(store.list("changed/")) == []


def test_wrong_secret_has_a_hint(seaweedfs: SeaweedFS) -> None:
    store = S3Store(replace(seaweedfs.bucket(), secret_key="wrong"))
    with expect_error(StoreError, "store.denied") as failure:
        store.read("a")
    assert "access key" in failure.value.hint


def test_names_a_missing_bucket(seaweedfs: SeaweedFS) -> None:
    store = S3Store(replace(seaweedfs.bucket(), name="elsewhere"))
    with expect_error(StoreError, "store.no_bucket"):
        list(store.list(""))


def test_deletes_every_version(seaweedfs: SeaweedFS) -> None:
    store, client = S3Store(seaweedfs.bucket()), connect(seaweedfs.bucket())
    for content in (b"1", b"2", b"3"):
        client.put_object(Bucket="accord", Key="versions/a", Body=content)
    client.delete_object(Bucket="accord", Key="versions/a")
    store.delete("versions/a")
    page = client.list_object_versions(Bucket="accord", Prefix="versions/")
    assert page.get("Versions", []) == page.get("DeleteMarkers", []) == []


@pytest.mark.long
def test_lists_more_than_a_page(seaweedfs: SeaweedFS) -> None:
    store, client = S3Store(seaweedfs.bucket()), connect(seaweedfs.bucket())
    names = [f"pages/{number:04}" for number in range(1003)]
    for name in names:
        client.put_object(Bucket="accord", Key=name, Body=b"")
    assert list(store.list("pages/")) == names


def test_works_under_gevent(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    """In a separate process, since gevent's patches cannot be undone."""
    program = """
from gevent import monkey; monkey.patch_all()
import gevent, hashlib, pathlib, sys
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket
from tests.ports import free_ports
endpoint, access, secret, folder = sys.argv[1:]
store = S3Store(Bucket("accord", access, secret, endpoint, addressing="path"))
store.abilities()
def one(n):
    path = pathlib.Path(folder) / str(n)
    content = bytes([n]) * 500_000
    path.write_bytes(content)
    store.put(f"gevent/{n}", path, hashlib.sha256(content).hexdigest())
    assert store.read(f"gevent/{n}", 10, 20) == content[10:20]
ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.001)
beat = gevent.spawn(tick)
gevent.joinall([gevent.spawn(one, n) for n in range(20)], raise_error=True)
assert len(ticks) > 5, len(ticks)
try:
    store.read("gevent/none")
except Exception as error:
    print(type(error).__name__)
"""
    bucket = seaweedfs.bucket()
    assert bucket.endpoint is not None
    process = subprocess.run(
        [sys.executable, "-c", program, bucket.endpoint, bucket.access_key, bucket.secret_key, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.stdout.splitlines()[-1:] == [NotFound.__name__], process.stderr
