"""The embedded SeaweedFS: access, ports, start and end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from recorder.errors import ConfigError, StoreError
from recorder.store.s3 import S3Store
from recorder.store.s3_client import connect
from recorder.store.seaweedfs import PORTS, VOLUME_MB, SeaweedFS
from tests.expected_errors import expect_error
from tests.faults.disks import MIB, SmallDisk
from tests.ports import free_ports


def test_locked_object_cannot_be_deleted_through_any_port(seaweedfs: SeaweedFS) -> None:
    """S3 refuses it, and SeaweedFS's other ports accept no deletion."""
    import urllib.error
    import urllib.request
    from datetime import UTC, datetime, timedelta

    store, client = S3Store(seaweedfs.bucket()), connect(seaweedfs.bucket())
    client.put_object(
        Bucket="accord",
        Key="locked/a",
        Body=b"held" * 1000,
        ChecksumAlgorithm="SHA256",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(minutes=2),
    )
    with expect_error(StoreError, "store.denied"):
        store.delete("locked/a")
    first = int(seaweedfs.bucket().endpoint.rsplit(":", 1)[1])  # type: ignore[union-attr]
    for port in range(first, first + PORTS):
        for path in ("/buckets/accord/locked/a", "/buckets/accord/locked?recursive=true", "/1,01"):
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method="DELETE")
            with pytest.raises((urllib.error.URLError, OSError)):
                urllib.request.urlopen(request, timeout=2)
    assert store.read("locked/a") == b"held" * 1000


def test_refuses_reads_without_the_key(seaweedfs: SeaweedFS) -> None:
    endpoint = seaweedfs.bucket().endpoint
    stranger = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", config=Config(signature_version=UNSIGNED)
    )
    with pytest.raises(stranger.exceptions.ClientError):
        stranger.list_objects_v2(Bucket="accord")


def test_listens_on_loopback_only(seaweedfs: SeaweedFS) -> None:
    inodes = {os.readlink(link) for link in Path(f"/proc/{seaweedfs.pid}/fd").iterdir() if link.is_symlink()}
    addresses = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                addresses.add(fields[1].partition(":")[0])
    assert addresses == {"0100007F"}


def test_credentials_are_created_once_and_private(tmp_path: Path) -> None:
    server = SeaweedFS(tmp_path / "seaweedfs", 8333)
    with pytest.raises(ConfigError) as failure:
        server.bucket()
    assert "accord run" in failure.value.hint
    server.prepare()
    first = server.bucket()
    server.prepare()
    assert server.bucket() == first
    assert len(first.secret_key) == 64
    assert first.secret_key not in repr(first)
    private = [path for path in (tmp_path / "seaweedfs").iterdir() if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    assert SeaweedFS(tmp_path / "other", 8333).prepare() is None
    assert SeaweedFS(tmp_path / "other", 8333).bucket() != first


def test_failed_start_names_the_log(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SeaweedFS(tmp_path / "seaweedfs", listener.getsockname()[1])
        with expect_error(StoreError, "store.port_taken") as failure:
            server.start()
        assert "embedded_port" in failure.value.hint
        assert server.pid is None


def test_ends_with_its_parent(tmp_path: Path) -> None:
    """After SIGKILL of `accord run` no server is left on its ports."""
    port = free_ports(PORTS)
    program = f"""
import pathlib, time
from recorder.store.seaweedfs import SeaweedFS
server = SeaweedFS(pathlib.Path({str(tmp_path)!r}), {port})
server.start()
print(server.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    lines = iter(parent.stdout.readline, "")
    pid = int(next(line for line in lines if line.strip().isdigit()))
    assert b"weed" in Path(f"/proc/{pid}/cmdline").read_bytes()
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            break
        if state == "Z":
            break
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.02)


def test_immediate_exit_names_the_log(tmp_path: Path) -> None:
    server = SeaweedFS(tmp_path / "seaweedfs", free_ports(PORTS), binary=Path("/bin/false"))
    with expect_error(StoreError, "store.embedded_failed") as failure:
        server.start()
    assert "seaweedfs.log" in failure.value.hint
    assert server.pid is None


def test_missing_server_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as failure:
        SeaweedFS(tmp_path, 8333, binary=tmp_path / "weed").command()
    assert "accord-recorder[embedded]" in failure.value.hint


def test_does_not_start_after_its_parent_died(tmp_path: Path) -> None:
    """The parent is already dead: on a busy machine an orphaned server kept the ports."""
    command, environment = SeaweedFS(tmp_path, free_ports(PORTS)).command()
    assert subprocess.run([*command[:6], str(os.getpid()), "true"], env=environment).returncode == 0
    assert command[6] == str(os.getpid())
    assert subprocess.run([*command[:6], "1", "true"], env=environment).returncode == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_small_disk_has_room_for_another_bucket(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "disk", "tmpfs", 3 * VOLUME_MB * MIB)
    server = SeaweedFS(disk.folder / "seaweedfs", free_ports(PORTS))
    try:
        server.start()
        client = connect(server.bucket())
        client.create_bucket(Bucket="another", ObjectLockEnabledForBucket=True)
        client.put_object(Bucket="another", Key="a", Body=b"kept")
        assert client.get_object(Bucket="another", Key="a")["Body"].read() == b"kept"
    finally:
        server.stop(seconds=0)
        disk.unmount()
