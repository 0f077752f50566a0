"""Another user of the machine and the embedded store: every port except S3's is closed to them, and S3's
accepts no unsigned request."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from recorder import config
from recorder.clock import utc_now
from recorder.errors import StoreError
from recorder.ops.doctor import storage
from recorder.ops.doctor.findings import DoctorFinding, Patient, examine
from recorder.processes.services import Context
from recorder.store import loopback_tls
from recorder.store.contract import Unreachable
from recorder.store.s3 import S3Store
from recorder.store.s3_client import connect
from recorder.store.seaweedfs import CERTIFICATE, CONFIG, PORTS, SOCKETS, SeaweedFS
from tests.expected_errors import expect_error
from tests.ports import free_ports

NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can start a program as another user")

KEY = "log/checkpoint-0001"
"""A locked checkpoint."""

PAGES = ("/", "/status", "/healthz", "/dir/assign", "/dir/status", "/vol/status", "/ui/index.html", "/1,01")
"""URLs of master, volume server and filer, and of a stored chunk."""

REFUSED = ("error reading server preface", "connection reset by peer")
"""gRPC's error when the peer ends the handshake."""


@pytest.fixture(scope="module")
def store(seaweedfs: SeaweedFS) -> Iterator[SeaweedFS]:
    """An embedded store with a locked checkpoint."""
    connect(seaweedfs.bucket()).put_object(
        Bucket="accord",
        Key=KEY,
        Body=b"held" * 1000,
        ChecksumAlgorithm="SHA256",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(minutes=10),
    )
    yield seaweedfs
    assert S3Store(seaweedfs.bucket()).read(KEY) == b"held" * 1000


def first_port(store: SeaweedFS) -> int:
    return int(store.bucket().endpoint.rsplit(":", 1)[1])  # type: ignore[union-attr]


def address(store: SeaweedFS, part: str) -> str:
    """SeaweedFS's notation of a part's two ports."""
    http = first_port(store) + {"master": 2, "filer": 4, "volume": 6}[part]
    return f"127.0.0.1:{http}.{http + 1}"


def weed(
    *arguments: str, user: int | None = NOBODY, folder: str = "/", stdin: str = "", timeout: float = 20
) -> str:
    """The output of SeaweedFS's tool for a user, who can run it even if its folder is closed to them."""
    program = SeaweedFS(Path("/"), 1).command()[0]
    path = next(word for word in program if word.endswith("weed"))
    descriptor = os.open(path, os.O_RDONLY)
    as_other = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
    try:
        process = subprocess.run(
            ["weed", "-logtostderr", "-v=1", *arguments],
            executable=f"/proc/self/fd/{descriptor}",
            pass_fds=[descriptor],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            **as_other,  # type: ignore[call-overload]
        )
    finally:
        os.close(descriptor)
    return str(process.stdout)


def open_ports(pid: int) -> set[int]:
    """The TCP ports on which a process listens."""
    inodes = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def test_every_port_but_s3_requires_the_certificate(store: SeaweedFS) -> None:
    first = first_port(store)
    assert store.pid is not None
    ports = open_ports(store.pid)
    assert ports == set(range(first, first + PORTS))
    assert not loopback_tls.wants_certificate(first)
    assert all(loopback_tls.wants_certificate(port) for port in ports - {first})
    assert store.open_ports() == ()
    for port in ports:
        for path in PAGES:
            for method in ("GET", "POST", "DELETE"):
                if port != first:
                    assert ask(port, method, path)[0] in (400, None), (port, method, path)
                elif method == "GET" and path in ("/status", "/healthz"):
                    assert ask(port, method, path) == (200, b""), "it reports its version, and nothing else"
                else:
                    assert ask(port, method, path)[0] in (403, 405), (method, path)


def ask(port: int, method: str, path: str) -> tuple[int | None, bytes]:
    """An answer's status and body; no status if the connection was closed."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except ConnectionError:
        return None, b""
    finally:
        connection.close()


def test_refuses_a_foreign_certificate(store: SeaweedFS, tmp_path: Path) -> None:
    """Not even a certificate with the same names as the store's."""
    forged = tmp_path / CERTIFICATE
    forged.write_bytes(loopback_tls.make_certificate(os.urandom))
    for port in range(first_port(store) + 1, first_port(store) + PORTS):
        with pytest.raises(OSError, match=r"ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE|reset by peer"):
            handshake(port, forged)


def handshake(port: int, certificate: Path) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
        context.wrap_socket(connection) as wrapped,
    ):
        wrapped.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        return wrapped.recv(1)


@as_root
def test_refuses_weed_shell_of_another_user(store: SeaweedFS) -> None:
    """Without certificates it deleted a locked checkpoint. Now it waits in vain for a master."""
    shell = ("shell", f"-master={address(store, 'master')}", f"-filer={address(store, 'filer')}")
    orders = "volume.list\nlock\nfs.rm -rf /buckets/accord/log\nunlock\nexit\n"
    with pytest.raises(subprocess.TimeoutExpired) as failure:
        weed(*shell, stdin=orders, timeout=2)
    assert b"volume Id" not in (failure.value.output or b"")
    assert S3Store(store.bucket()).read(KEY) == b"held" * 1000
    folder = str(store.folder)
    assert "volume Id" in weed(*shell, user=None, folder=folder, stdin="volume.list\nexit\n"), (
        "the certificate's owner is admitted"
    )


@as_root
@pytest.mark.parametrize(
    "order",
    [
        ("backup", "-server={master}", "-dir={folder}", "-volumeId=1"),
        ("filer.meta.tail", "-filer={filer}"),
        ("download", "-server={master}", "-dir={folder}", "1,01637037d6"),
    ],
    ids=lambda order: str(order[0]),
)
def test_refuses_other_tools_of_another_user(store: SeaweedFS, order: tuple[str, ...]) -> None:
    target = Path("/tmp") / f"accord-nobody-{os.getpid()}"  # a folder of the other user's
    target.mkdir()
    try:
        os.chown(target, NOBODY, NOBODY)
        addresses = {"master": address(store, "master"), "filer": address(store, "filer"), "folder": target}
        output = weed(*(word.format(**addresses) for word in order))
        assert any(each in output for each in REFUSED), output
        assert list(target.iterdir()) == []
    finally:
        shutil.rmtree(target)


@as_root
def test_another_user_reads_no_files_or_sockets(store: SeaweedFS) -> None:
    first = first_port(store)
    ports = range(first, first + PORTS)
    sockets = [path for port in ports for path in SOCKETS.glob(f"seaweedfs-*-{port}.sock")]
    # One that was killed leaves its sockets behind, at ports that are used again.
    parts = {path.name.split("-")[1] for path in sockets}
    assert parts == {"master", "volume", "filer", "s3"}, "one for the gRPC of each part"
    look = 'for each in "$@"; do [ -r "$each" ] || [ -w "$each" ] && echo "$each"; done; true'
    result = subprocess.run(
        ["/bin/sh", "-c", look, "sh"]
        + [str(path) for path in (*sockets, store.folder, *store.folder.rglob("*"))],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
    )
    paths = set(result.stdout.splitlines())
    assert paths == {str(path) for path in sockets}, "everybody can read a socket's name"
    for path in sockets:
        assert not path.stat().st_mode & 0o022, "connecting needs write permission"


def test_command_line_and_environment_have_no_secret(store: SeaweedFS) -> None:
    config = json.loads((store.folder / CONFIG).read_text())
    secrets = [value for each in config["identities"] for value in each["credentials"][0].values()]
    security = tomllib.loads((store.folder / "security.toml").read_text())["jwt"]
    secrets += [security[name]["key"] for name in ("signing", "filer_signing")]
    secrets += [security[name]["read"]["key"] for name in ("signing", "filer_signing")]
    assert len(secrets) >= 6
    for name in ("cmdline", "environ"):
        content = Path(f"/proc/{store.pid}/{name}").read_text()
        assert not [secret for secret in secrets if secret in content]


def test_start_restricts_an_older_folder(tmp_path: Path) -> None:
    """Objects and credentials stay; a damaged certificate is replaced."""
    folder = tmp_path / "seaweedfs"
    server = SeaweedFS(folder, free_ports(PORTS))
    server.prepare()
    before = server.bucket()
    (folder / "security.toml").write_text('[jwt.signing]\nkey = "old"\n')
    for damaged in (b"", b"-----BEGIN PRIVATE KEY-----\n", loopback_tls.make_certificate(os.urandom)[:600]):
        (folder / CERTIFICATE).write_bytes(damaged)
        folder.chmod(0o755)
        server.prepare()
        assert loopback_tls.is_complete(folder / CERTIFICATE)
        assert (folder / CERTIFICATE).stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
    assert server.bucket() == before
    whole = (folder / CERTIFICATE).read_bytes()
    server.prepare()
    assert (folder / CERTIFICATE).read_bytes() == whole, (
        "a complete certificate stays: a server may be using it"
    )
    begin, other = b"-----BEGIN CERT", loopback_tls.make_certificate(os.urandom)
    (folder / CERTIFICATE).write_bytes(whole[: whole.index(begin)] + other[other.index(begin) :])
    assert not loopback_tls.is_complete(folder / CERTIFICATE), "a key of another certificate"
    assert "old" not in (folder / "security.toml").read_text()


def look(port: int, data: Path) -> list[DoctorFinding]:
    """The doctor's finding about the store on a port."""
    variables = {"NODE_DATA": str(data), "STORE_EMBEDDED": "true", "STORE_EMBEDDED_PORT": str(port)}
    settings = config.load(None, {f"ACCORD_{name}": value for name, value in variables.items()})
    return list(examine(storage.embedded_store, Patient(Context(settings, None), utc_now)))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A store without certificates, on its own ports."""
    server = SeaweedFS(tmp_path_factory.mktemp("data") / "seaweedfs", free_ports(PORTS))
    server.prepare()
    (server.folder / "security.toml").write_text("")
    command, environment = server.command()
    with open(server.folder / "seaweedfs.log", "wb") as log:
        process = subprocess.Popen(command, cwd=server.folder, env=dict(environment), stdout=log, stderr=log)
    yield server
    process.kill()
    process.wait()


def test_refuses_an_open_store(opened: SeaweedFS) -> None:
    """SeaweedFS continues without a certificate that it cannot load, and reports that only in its log."""
    with expect_error(StoreError, "store.embedded_open") as failure:
        opened.wait_ready()
    first = first_port(opened)
    assert str(first + 3) in failure.value.message
    found = look(first, opened.folder.parent)
    assert [finding.state for finding in found] == ["wrong"]
    for port in range(first + 1, first + PORTS):
        assert str(port) in found[0].what


@as_root
def test_names_another_user_on_the_port(
    tmp_path: Path,
) -> None:
    """No request is sent to them, so they cannot answer "stored"."""
    first = free_ports(PORTS)
    program = (
        "import os, socket, sys; sys.dont_write_bytecode = True; "
        f"server = socket.create_server(('127.0.0.1', {first})); print('up', flush=True); "
        "server.accept(); print('asked', flush=True)"
    )
    squatter = subprocess.Popen(
        ["/usr/bin/env", "python3", "-c", program],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert squatter.stdout is not None
        assert squatter.stdout.readline() == "up\n"
        server = SeaweedFS(tmp_path / "seaweedfs", first)
        server.prepare()
        with expect_error(StoreError, "store.port_taken") as failure:
            server.wait_ready(seconds=0.2)
        assert str(NOBODY) in failure.value.message
        file = tmp_path / "sound"
        file.write_bytes(b"sound")
        with expect_error(Unreachable, "store.port_taken"):  # by a worker that was running already
            S3Store(server.bucket()).put("a/sound", file, hashlib.sha256(b"sound").hexdigest())
        (found,) = look(first, tmp_path)
        assert found.state == "wrong"
        assert f"user {NOBODY}" in found.what
        assert squatter.poll() is None
    finally:
        squatter.kill()
    assert squatter.stdout.read() == "", "no request was sent"


def test_doctor_reports_a_protected_store(store: SeaweedFS) -> None:
    found = look(first_port(store), store.folder.parent)
    assert [finding.state for finding in found] == ["ok"]
