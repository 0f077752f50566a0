"""Objects, manifests, keys and rows are altered in many ways; each is refused with the name of the failed
check, which is logged first, and no altered byte is sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import SealError
from recorder.playback.interface import Actor
from recorder.processes.gate import PanelGate
from recorder.seal import signing
from recorder.seal.keyring import WrappedKey
from recorder.seal.sealing import open_manifest
from tests.expected_errors import expect_error
from tests.unit.seal.recording import sign

BLOCK = 65536


@dataclass(frozen=True)
class Scene:
    """Two recordings of one tenant; ``mine`` is attacked, ``other`` is what it is swapped with."""

    house: object
    mine: RecordingRow
    other: RecordingRow

    def path(self, name: str, row: RecordingRow | None = None) -> Path:
        return self.house.bucket / ((row or self.mine).prefix + name)

    def update(self, row: RecordingRow | None = None, **values) -> None:
        with writing():
            RecordingTable.update(**values).where(RecordingTable.id == (row or self.mine).id).execute()

    def manifest(self):
        return open_manifest(self.path("manifest.json").read_bytes(), self.house.services.root)


@pytest.fixture
def scene(house, recorded) -> Scene:
    return Scene(house, recorded(talk_ms=20_000), recorded(talk_ms=20_000))


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    overwrite(path, bytes(content))


# Objects: found when the block is read.


def one_bit(scene: Scene) -> None:
    flip(scene.path("audio.wav"), 3 * BLOCK + 77)


def cut(scene: Scene) -> None:
    path = scene.path("audio.wav")
    overwrite(path, path.read_bytes()[:-1])


def lengthened_then_changed(scene: Scene) -> None:
    path = scene.path("audio.wav")
    content = path.read_bytes()
    overwrite(path, b"\0" + content)


def blocks_exchanged(scene: Scene) -> None:
    path = scene.path("audio.wav")
    content = path.read_bytes()
    overwrite(
        path,
        content[:BLOCK] + content[2 * BLOCK : 3 * BLOCK] + content[BLOCK : 2 * BLOCK] + content[3 * BLOCK :],
    )


def another_recordings_sound(scene: Scene) -> None:
    overwrite(scene.path("audio.wav"), scene.path("audio.wav", scene.other).read_bytes())


def deleted_sound(scene: Scene) -> None:
    scene.path("audio.wav").unlink()


@pytest.mark.parametrize(
    ("alter", "error_id"),
    [
        (one_bit, "seal.block"),
        (cut, "seal.object_length"),
        (lengthened_then_changed, "seal.block"),
        (blocks_exchanged, "seal.block"),
        (another_recordings_sound, "seal.block"),
        (deleted_sound, "seal.object_missing"),
    ],
)
def test_refuses_an_altered_object_at_its_block(
    scene, gate, ada, alter: Callable[[Scene], None], error_id: str
) -> None:
    grant = gate.grant(ada, scene.mine.id, "agreement")
    opened = gate.open(ada, grant.id, "audio.wav", "p")
    whole = b"".join(opened.read(0, opened.length))
    alter(scene)
    left: list[bytes] = []
    with expect_error(SealError, error_id):
        left.extend(opened.read(0, opened.length))
    assert whole.startswith(b"".join(left))
    assert failing_objects(scene) == [("audio.wav", error_id)]


def test_refuses_appended_bytes(scene, gate, ada) -> None:
    """Nothing past the last block is read, so the object's length is checked when a grant is given."""
    path = scene.path("audio.wav")
    before = gate.grant(ada, scene.mine.id, "agreement")
    assert gate.open(ada, before.id, "audio.wav", "p").length
    overwrite(path, path.read_bytes() + b"more")
    grant = gate.grant(ada, scene.mine.id, "agreement")
    with expect_error(SealError, "object.length"):
        gate.open(ada, grant.id, "audio.wav", "p")
    assert failing_objects(scene) == [("audio.wav", "object.length")]


# Manifests, keys and rows: found before a grant is given.


def body_changed(scene: Scene) -> None:
    document = json.loads(scene.path("manifest.json").read_bytes())
    document["body"]["drift_ms"] += 1
    content = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    overwrite(scene.path("manifest.json"), content)


def spaced_otherwise(scene: Scene) -> None:
    path = scene.path("manifest.json")
    overwrite(path, path.read_bytes() + b"\n")


def manifest_of_another(scene: Scene) -> None:
    overwrite(scene.path("manifest.json"), scene.path("manifest.json", scene.other).read_bytes())


def manifest_deleted(scene: Scene) -> None:
    scene.path("manifest.json").unlink()


def signed_under_another_root(scene: Scene) -> None:
    house = scene.house
    folder = house.folder / "other-keys"
    signing.init(folder, house.clock() - timedelta(days=1), house.entropy)
    signer = signing.load_signer(folder / signing.SIGNING_KEY, folder / signing.ENDORSEMENT)
    overwrite(scene.path("manifest.json"), sign(scene.manifest(), signer))


def sealed_again_with_more(scene: Scene) -> None:
    """By the holder of the signing key: the catalogue has another hash."""
    manifest = scene.manifest()
    longer = tuple(replace(each, until=each.until + timedelta(days=1)) for each in manifest.purposes)
    longer_announcement = replace(
        manifest.announced, purposes=longer, keep_days=manifest.announced.keep_days + 1
    )
    forged = replace(
        manifest, announced=longer_announcement, keep_until=manifest.keep_until + timedelta(days=1)
    )
    overwrite(scene.path("manifest.json"), sign(forged, scene.house.services.signer))


def key_of_another(scene: Scene) -> None:
    scene.update(wrapped_key=scene.other.wrapped_key)


def key_damaged(scene: Scene) -> None:
    wrapped = WrappedKey.from_bytes(scene.mine.wrapped_key.encode())
    changed = replace(wrapped, wrapped=bytes([wrapped.wrapped[0] ^ 1]) + wrapped.wrapped[1:])
    scene.update(wrapped_key=changed.to_bytes().decode())


def key_made_anew(scene: Scene) -> None:
    house = scene.house
    tenant = WrappedKey.from_bytes(TenantTable.get(TenantTable.id == house.tenant).wrapped_key.encode())
    _, fresh = house.services.keyring.new_data_key(tenant, scene.mine.id, house.entropy)
    scene.update(wrapped_key=fresh.to_bytes().decode())


def key_destroyed(scene: Scene) -> None:
    scene.update(wrapped_key=None)
    (scene.house.bucket / f"keys/{scene.house.tenant}/{scene.mine.id}.json").unlink()


def tenant_key_exchanged(scene: Scene) -> None:
    house = scene.house
    fresh = house.services.keyring.new_tenant_key(house.tenant, house.entropy)
    with writing():
        TenantTable.update(wrapped_key=fresh.to_bytes().decode()).where(
            TenantTable.id == house.tenant
        ).execute()


def rows_exchanged(scene: Scene) -> None:
    """A row points to another recording: all columns that say where and what are swapped."""
    names = ("manifest_sha256", "wrapped_key", "objects", "duration_ms", "started_at")
    mine, other = (RecordingTable.get(RecordingTable.id == row.id) for row in (scene.mine, scene.other))
    scene.update(scene.other, prefix="nowhere/")
    scene.update(scene.mine, prefix=other.prefix, **{name: getattr(other, name) for name in names})
    scene.update(scene.other, prefix=mine.prefix, **{name: getattr(mine, name) for name in names})


def row_of_another_day(scene: Scene) -> None:
    scene.update(started_at=scene.mine.started_at - timedelta(days=1))


def row_with_another_party(scene: Scene) -> None:
    scene.update(external_value="+32479999999")


def row_with_another_length(scene: Scene) -> None:
    scene.update(duration_ms=scene.mine.duration_ms + 1000)


def row_with_another_hash(scene: Scene) -> None:
    scene.update(manifest_sha256="00" * 32)


@pytest.mark.parametrize(
    ("alter", "error_id"),
    [
        (body_changed, "seal.signature"),
        (spaced_otherwise, "seal.not_canonical"),
        (manifest_of_another, "seal.manifest_foreign"),
        (manifest_deleted, "seal.manifest_missing"),
        (signed_under_another_root, "seal.endorsement_root"),
        (sealed_again_with_more, "seal.manifest_replaced"),
        (key_of_another, "seal.key_foreign"),
        (key_damaged, "seal.key_damaged"),
        (key_made_anew, "seal.key_foreign"),
        (key_destroyed, "seal.key_missing"),
        (tenant_key_exchanged, "seal.key_foreign"),
        (rows_exchanged, "seal.manifest_foreign"),
        (row_of_another_day, "seal.row_differs"),
        (row_with_another_party, "seal.row_differs"),
        (row_with_another_length, "seal.row_differs"),
        (row_with_another_hash, "seal.manifest_replaced"),
    ],
)
def test_gives_no_grant_for_an_altered_recording(
    scene, gate: PanelGate, ada: Actor, alter: Callable[[Scene], None], error_id: str
) -> None:
    with connected():
        alter(scene)
    for ask in (
        lambda: gate.grant(ada, scene.mine.id, "agreement"),
        lambda: gate.purposes(ada, scene.mine.id),
    ):
        with expect_error(SealError, error_id):
            ask()
    assert failing_objects(scene) == [("manifest.json", error_id)], "once an hour for each who finds it"


@pytest.mark.parametrize("alter", [key_of_another, row_with_another_party, row_with_another_hash])
def test_refuses_an_alteration_under_a_grant(
    scene, gate: PanelGate, ada: Actor, alter: Callable[[Scene], None]
) -> None:
    grant = gate.grant(ada, scene.mine.id, "agreement")
    alter(scene)
    with pytest.raises(SealError):
        gate.open(ada, grant.id, "audio.wav", "p")
    assert failing_objects(scene)


def test_a_grant_is_bound_to_its_manifest(scene, gate: PanelGate, ada: Actor) -> None:
    """Even if manifest and row are replaced together, by the holder of the signing key."""
    grant = gate.grant(ada, scene.mine.id, "agreement")
    sealed_again_with_more(scene)
    content = scene.path("manifest.json").read_bytes()
    scene.update(manifest_sha256=hashlib.sha256(content).hexdigest())
    with expect_error(SealError, "seal.manifest_replaced"):
        gate.renew(ada, grant.id)


def test_plays_an_unaltered_recording(scene, gate: PanelGate, ada: Actor) -> None:
    for row in (scene.mine, scene.other):
        grant = gate.grant(ada, row.id, "agreement")
        for name in ("audio.wav", "peaks"):
            opened = gate.open(ada, grant.id, name, "p")
            assert len(b"".join(opened.read(0, opened.length))) == opened.length
    assert failing_objects(scene) == []


def failing_objects(scene: Scene) -> list[tuple[str, str]]:
    with connected():
        query = LeafTable.select().where(LeafTable.kind == "seal.broken").order_by(LeafTable.number)
        bodies = [json.loads(leaf.body) for leaf in query]
    assert all(each["recording"] == scene.mine.id for each in bodies)
    return [(each["object"], each["found"]) for each in bodies]
