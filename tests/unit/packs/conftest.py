from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from recorder.auditlog import checkpoint, timestamping
from recorder.catalogue import queries
from recorder.features.packs.rules import PAYLOAD_LIST, STATEMENT, TAG_LIST, RecordingPack, hash_list
from recorder.features.packs.service import Packs
from recorder.playback.interface import Actor
from recorder.processes.gate import PanelGate
from recorder.seal import canonical_json, signed_document
from recorder.seal.amendment import By
from recorder.seal.signing import Signer
from tests.amendments import amend
from tests.house import Bakery
from tests.unit.auditlog.authority import TimestampAuthority, serve_authority

README, REPORT = "Read me.\n", "<!doctype html><title>Report</title>"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimestampAuthority]:
    with serve_authority(tmp_path_factory.mktemp("authority")) as found:
        yield found


@dataclass
class PackWorld:
    """An installation with a recording that was amended twice and heard once, under three checkpoints, the
    second with a timestamp; and packs of it."""

    house: Bakery
    authority: TimestampAuthority
    paul: Actor
    recording: str = ""

    def sign(self) -> None:
        self.house.clock.forward(hours=1)
        services = replace(self.house.services, checkpoints_seen={})
        assert checkpoint.sign_due(services, self.house.clock()) == 1

    def stamp(self) -> None:
        services, now = self.house.services, self.house.clock()
        assert timestamping.stamp_due(services, self.authority.authority, now) == 1

    @property
    def gate(self) -> PanelGate:
        means = self.house.services
        return PanelGate(means.store, means.keyring, means.root, now=self.house.clock, entropy=means.entropy)

    @property
    def packs(self) -> Packs:
        return Packs(self.house.changes, self.authority.authority.certificates)

    def prepare(self, recording: str = "") -> RecordingPack:
        release = self.gate.release(self.paul, recording or self.recording, "agreement")
        return self.packs.prepare(release, recipient="Maître  Dupont\n", language="fr")

    def make(self, recording: str = "") -> bytes:
        """A pack of the recording, as the panel sends it."""
        return b"".join(self.packs.stream(self.prepare(recording), README, REPORT))

    def listen(self) -> None:
        grant = self.gate.grant(self.paul, self.recording, "agreement")
        sound = self.gate.open(self.paul, grant.id, "audio.wav", "p" * 22)
        assert b"".join(sound.read(0, sound.length))
        self.gate.close(self.paul, grant.id, "p" * 22)

    def record(self, **changes: object) -> str:
        folder = self.house.take(**({"talk_ms": 1500, "question": "yes"} | changes))
        self.house.work(folder)
        self.house.clock.forward(minutes=2)
        row = queries.recording(self.house.tenant, folder.name)
        assert row is not None
        return row.id

    def amend(self, reason: str) -> None:
        by = By("user", self.paul.user)
        amend(
            self.house.changes.agree, self.house.tenant, self.recording, by, purpose="training", keep_days=30,
            reason=reason,
        )  # fmt: skip


@pytest.fixture
def world(house: Bakery, authority: TimestampAuthority) -> PackWorld:
    row = house.user(house.tenant, "paul@example.be", "customer_admin", name="Paul")
    found = PackWorld(house, authority, Actor(row.id, row.tenant, row.role, row.language))
    found.recording = found.record()
    found.sign()
    found.amend("on paper")
    found.listen()
    found.sign()
    found.stamp()
    found.amend("once more")
    found.sign()
    return found


def unzip(content: bytes) -> dict[str, bytes]:
    """A pack's files by their names below its folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def write_zip(path: Path, files: Mapping[str, bytes], folder: str = "pack") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}", content)
    return path


def list_again(files: dict[str, bytes]) -> None:
    """Bring the lists of hashes up to date, which anybody can."""
    sums = {
        name: (hashlib.sha256(content).hexdigest(), len(content))
        for name, content in files.items()
        if name not in (PAYLOAD_LIST, TAG_LIST)
    }
    files[PAYLOAD_LIST] = hash_list(sums, payload=True)
    tags = sums | {PAYLOAD_LIST: (hashlib.sha256(files[PAYLOAD_LIST]).hexdigest(), 0)}
    files[TAG_LIST] = hash_list(tags, payload=False)


def state_again(files: dict[str, bytes], signer: Signer, **changes: object) -> None:
    """Sign a statement about the files as they are now, which only who has the key can."""
    body = canonical_json.load(files[STATEMENT], "statement")["body"]
    names = sorted({*files} - {STATEMENT, PAYLOAD_LIST, TAG_LIST})
    sums = [
        {"name": name, "sha256": hashlib.sha256(files[name]).hexdigest(), "length": len(files[name])}
        for name in names
    ]
    files[STATEMENT] = signed_document.write({**body, "files": sums, **changes}, signer)
    list_again(files)


def field(content: bytes, name: str) -> object:
    return json.loads(content)["body"][name]
