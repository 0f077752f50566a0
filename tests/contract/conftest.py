"""The stores over which the contract's suite runs: real servers, real folders."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSResponse

from recorder.store.contract import Store
from recorder.store.directory import DirectoryStore
from recorder.store.retry import with_retries
from recorder.store.s3 import S3Store
from recorder.store.s3_client import Bucket
from recorder.store.seaweedfs import CONFIG, PORTS, SeaweedFS
from tests.ports import free_ports


@dataclass
class Case:
    """A store under test, a prefix of its own, and a function that makes files."""

    name: str
    store: Store
    prefix: str
    folder: Path

    def key(self, name: str) -> str:
        return self.prefix + name

    def file(self, content: bytes) -> tuple[Path, str]:
        path = self.folder / uuid4().hex
        path.write_bytes(content)
        return path, hashlib.sha256(content).hexdigest()

    def put(self, name: str, content: bytes) -> str:
        path, sha256 = self.file(content)
        self.store.put(self.key(name), path, sha256)
        return self.key(name)

    def list(self, prefix: str = "") -> list[str]:
        return [key.removeprefix(self.prefix) for key in self.store.list(self.key(prefix))]


@pytest.fixture(scope="session")
def start_seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., SeaweedFS]]:
    """Start a SeaweedFS in which ``others`` (a name, and its rights) have credentials, too
    (:func:`as_other`). It ends with the session."""
    started: list[SeaweedFS] = []

    def start(others: Mapping[str, Sequence[str]] | None = None) -> SeaweedFS:
        folder = tmp_path_factory.mktemp("seaweedfs")
        server = SeaweedFS(folder, free_ports(PORTS))
        server.prepare()
        config = json.loads((folder / CONFIG).read_text())
        for name, actions in (others or {}).items():
            keys = {"accessKey": name, "secretKey": f"secret of {name}"}
            config["identities"].append({"name": name, "credentials": [keys], "actions": list(actions)})
        (folder / CONFIG).write_text(json.dumps(config))
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop(seconds=0)


def as_other(bucket: Bucket, name: str) -> Bucket:
    """The bucket with another user's credentials (:func:`start_seaweedfs`)."""
    return replace(bucket, access_key=name, secret_key=f"secret of {name}")


@pytest.fixture(scope="session")
def seaweedfs(start_seaweedfs: Callable[[], SeaweedFS]) -> SeaweedFS:
    return start_seaweedfs()


@pytest.fixture(scope="session")
def bucket_store(seaweedfs: SeaweedFS) -> S3Store:
    return S3Store(seaweedfs.bucket())


@pytest.fixture(scope="session")
def lesser_store(seaweedfs: SeaweedFS) -> S3Store:
    """The same server without optional abilities: the headers are removed in transit, so a put replaces
    whatever exists."""
    store = S3Store(seaweedfs.bucket())

    def strip(request: Any, **_: object) -> None:
        for name in ("If-None-Match", "x-amz-checksum-sha256"):
            del request.headers[name]

    for client in (store._client, store._hash_in_header):
        client.meta.events.register("before-sign.s3.PutObject", strip)
    return store


class _Body(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


@pytest.fixture(
    params=[
        "directory",
        "seaweedfs",
        "lesser seaweedfs",
        "refusing seaweedfs",
        "retrying directory",
        "retrying seaweedfs",
    ]
)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    name: str = request.param
    store: Store
    if name.startswith(("lesser", "refusing")):
        store = request.getfixturevalue(f"{name.split()[0]}_store")
    elif name.endswith("seaweedfs"):
        store = request.getfixturevalue("bucket_store")
    else:
        store = DirectoryStore(tmp_path / "store")
    if name.startswith("retrying"):
        store = with_retries(store)
    files = tmp_path / "files"
    files.mkdir()
    return Case(name, store, f"{uuid4()}/2026/11/25/", files)


@pytest.fixture(scope="session")
def refusing_store(seaweedfs: SeaweedFS) -> S3Store:
    """The same server as one that refuses requests with these headers."""
    store = S3Store(seaweedfs.bucket())

    def refuse(request: Any, **_: object) -> AWSResponse | None:
        if not {"If-None-Match", "x-amz-checksum-sha256"} & set(request.headers):
            return None
        body = b"<Error><Code>NotImplemented</Code><Message>no such header</Message></Error>"
        return AWSResponse(request.url, 501, {"Content-Type": "application/xml"}, _Body(body))

    for client in (store._client, store._hash_in_header):
        client.meta.events.register("before-send.s3.PutObject", refuse)
    return store
