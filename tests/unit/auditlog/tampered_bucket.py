"""Tampering with the bucket: wrapped keys, unknown objects, and signatures by wrong keys."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.catalogue.database import writing
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.ids import uuid7
from recorder.lifecycle.key_rotation import KeyRotation
from recorder.seal import canonical_json, signed_document
from recorder.seal.keyring import WrappedKey
from recorder.seal.signing import AMENDMENT, MANIFEST, TOMBSTONE, Signer

from .conftest import World
from .tampered_later import hold
from .tampering import found_as, object_of, signer_of

DEEP = {"deep": True}
OTHER = "01930000-0000-7000-8000-00000000000b"


def key_of(world: World, name: str | None = None) -> Path:
    """A wrapped key in the bucket; the kept recording's by default."""
    return world.house.bucket / "keys" / world.tenant / f"{name or world.live_recording}.json"


def rewrite(path: Path, **changes: Any) -> str:
    """Change fields of a wrapped key; returns its text."""
    content = canonical_json.dump(json.loads(path.read_bytes()) | changes)
    path.write_bytes(content)
    return content.decode()


def damaged(path: Path) -> str:
    """Damage a wrapped key's ciphertext; returns its text."""
    wrapped = json.loads(path.read_bytes())["wrapped"]
    return rewrite(path, wrapped=("B" if wrapped[0] != "B" else "C") + wrapped[1:])


def in_the_row(world: World, text: str | None) -> None:
    with writing():
        RecordingTable.update(wrapped_key=text).where(RecordingTable.id == world.live_recording).execute()


def foreign_tenant_key(world: World) -> WrappedKey:
    return world.house.services.keyring.new_tenant_key(OTHER, world.house.entropy)


def rotate(world: World) -> str:
    """Rotate the customer's key, as `accord key rotate` does; returns the id of the previous one."""
    house = world.house
    before = json.loads(key_of(world, "tenant").read_bytes())["key_id"]
    rotation = KeyRotation(house.services.store, house.services.keyring, house.clock, house.entropy, "one")
    rotation.begin(world.tenant)
    rotation.all()
    world.sign()
    assert world.audit(deep=True) == []
    return str(before)


# --- wrapped keys, without a key-encryption key


@found_as("key.missing", "tenant.json")
def deleted_tenant_key(world: World) -> None:
    key_of(world, "tenant").unlink()


@found_as("key.differs", "tenant.json")
def damaged_tenant_key(world: World) -> None:
    damaged(key_of(world, "tenant"))


@found_as("key.differs", "tenant.json")
def tenant_key_of_another_customer(world: World) -> None:
    key_of(world, "tenant").write_bytes(foreign_tenant_key(world).to_bytes())


@found_as("key.differs", "tenant.json")
def data_key_in_place_of_tenant_key(world: World) -> None:
    shutil.copy(key_of(world), key_of(world, "tenant"))


@found_as("key.differs", "tenant.json")
def malformed_tenant_key(world: World) -> None:
    key_of(world, "tenant").write_text("nothing")


@found_as("row.changed", "tenant")
def damaged_tenant_key_in_bucket_and_row(world: World) -> None:
    with writing():
        TenantTable.update(wrapped_key=damaged(key_of(world, "tenant"))).execute()


@found_as("row.changed", "tenant")
def empty_tenant_key_in_row(world: World) -> None:
    with writing():
        TenantTable.update(wrapped_key="").execute()


@found_as("key.missing", "keys/")
def deleted_data_key(world: World) -> None:
    key_of(world).unlink()


@found_as("key.differs", "keys/")
def damaged_data_key(world: World) -> None:
    damaged(key_of(world))


@found_as("key.differs", "keys/")
def damaged_data_key_in_row(world: World) -> None:
    text = key_of(world).read_text()
    in_the_row(world, damaged(key_of(world)))
    key_of(world).write_text(text)


@found_as("row.changed", "recording")
def deleted_data_key_in_row(world: World) -> None:
    in_the_row(world, None)


@found_as("seal.key_foreign", "keys/")
def data_key_of_another_recording(world: World) -> None:
    rewrite(key_of(world), recording=world.erased)


@found_as("seal.key_foreign", "keys/")
def data_key_of_another_customer(world: World) -> None:
    rewrite(key_of(world), tenant=OTHER)


@found_as("seal.key_foreign", "keys/")
def data_key_with_another_id_in_bucket_and_row(world: World) -> None:
    in_the_row(world, rewrite(key_of(world), key_id="00" * 16))


@found_as("seal.key_foreign", "keys/")
def data_key_wrapped_by_unknown_key(world: World) -> None:
    in_the_row(world, rewrite(key_of(world), wrapped_by="00" * 16))


@found_as("seal.key_kind", "keys/")
def tenant_key_in_place_of_data_key(world: World) -> None:
    shutil.copy(key_of(world, "tenant"), key_of(world))


@found_as("seal.unknown_field", "keys/")
def data_key_with_unknown_field(world: World) -> None:
    rewrite(key_of(world), more="x")


@found_as("seal.not_json", "keys/")
def malformed_data_key(world: World) -> None:
    key_of(world).write_text("nothing")


@found_as("key.not_erased", "keys/")
def restored_data_key_of_erased_recording(world: World) -> None:
    shutil.copy(key_of(world), key_of(world, world.erased))


@found_as("key.missing", "tenant-")
def deleted_previous_tenant_key(world: World) -> None:
    key_of(world, f"tenant-{rotate(world)}").unlink()


@found_as("seal.key_foreign", "tenant-")
def current_key_in_place_of_previous_tenant_key(world: World) -> None:
    before = rotate(world)
    shutil.copy(key_of(world, "tenant"), key_of(world, f"tenant-{before}"))


@found_as("object.unknown", "tenant-")
def tenant_key_with_unknown_id(world: World) -> None:
    rotate(world)
    shutil.copy(key_of(world, "tenant"), key_of(world, f"tenant-{'0' * 32}"))


@found_as("seal.key_foreign", "tenant-next.json")
def next_tenant_key_of_another_customer(world: World) -> None:
    key_of(world, "tenant-next").write_bytes(foreign_tenant_key(world).to_bytes())


@found_as("seal.key_kind", "tenant-next.json")
def data_key_in_place_of_next_tenant_key(world: World) -> None:
    shutil.copy(key_of(world), key_of(world, "tenant-next"))


@found_as("seal.not_json", "tenant-next.json")
def malformed_next_tenant_key(world: World) -> None:
    key_of(world, "tenant-next").write_text("nothing")


# --- wrapped keys, with one


@found_as("seal.key_damaged", "keys/")
def damaged_data_key_in_bucket_and_row(world: World) -> dict[str, Any]:
    in_the_row(world, damaged(key_of(world)))
    return DEEP


@found_as("seal.key_damaged", "tenant.json")
def damaged_tenant_key_opened(world: World) -> dict[str, Any]:
    damaged_tenant_key_in_bucket_and_row(world)
    return DEEP


@found_as("seal.key_damaged", "tenant-")
def damaged_previous_tenant_key(world: World) -> dict[str, Any]:
    damaged(key_of(world, f"tenant-{rotate(world)}"))
    return DEEP


@found_as("seal.key_damaged", "tenant-next.json")
def damaged_next_tenant_key(world: World) -> dict[str, Any]:
    house = world.house
    KeyRotation(house.services.store, house.services.keyring, house.clock, house.entropy, "one").begin(
        world.tenant
    )
    damaged(key_of(world, "tenant-next"))
    return DEEP


@found_as("seal.kek_missing", "tenant-")
def previous_tenant_key_wrapped_by_unknown_key(world: World) -> dict[str, Any]:
    rewrite(key_of(world, f"tenant-{rotate(world)}"), wrapped_by="00" * 16)
    return DEEP


# --- objects that nobody knows

PLACES: dict[str, Callable[[World], str]] = {
    "at_the_top_of_the_bucket": lambda world: "notes.txt",
    "in_an_unknown_folder": lambda world: "backup/catalogue.db",
    "in_the_folder_of_an_unknown_customer": lambda world: (
        f"{OTHER}/2026/03/02/{world.live_recording}/audio.opus"
    ),
    "at_the_top_of_a_customers_folder": lambda world: f"{world.tenant}/notes.txt",
    "in_a_years_folder": lambda world: f"{world.tenant}/2026/notes.txt",
    "in_a_days_folder": lambda world: f"{world.tenant}/2026/03/02/notes.txt",
    "in_a_malformed_days_folder": lambda world: f"{world.tenant}/2026/3/2/{world.live_recording}/audio.opus",
    "in_a_folder_of_a_recording": lambda world: f"{_place(world)}more/audio.opus",
    "beside_the_audio": lambda world: f"{_place(world)}audio.mp3",
    "beside_the_amendments": lambda world: f"{_place(world)}amendment-1.json",
    "as_an_uncommitted_recording": lambda world: f"{world.tenant}/2026/01/02/{OTHER}/audio.opus",
    "as_a_recording_with_a_malformed_id": lambda world: f"{world.tenant}/2026/03/02/x/audio.opus",
    "as_a_recording_on_another_day": lambda world: (
        f"{world.tenant}/2026/01/02/{world.live_recording}/audio.opus"
    ),
    "at_the_top_of_the_keys": lambda world: "keys/kek",
    "among_the_keys_of_an_unknown_customer": lambda world: f"keys/{OTHER}/tenant.json",
    "among_a_customers_keys": lambda world: f"keys/{world.tenant}/kek.txt",
    "among_a_customers_keys_in_a_folder": lambda world: f"keys/{world.tenant}/old/tenant.json",
    "as_the_key_of_an_unknown_recording": lambda world: f"keys/{world.tenant}/{OTHER}.json",
    "as_a_malformed_tenant_key": lambda world: f"keys/{world.tenant}/tenant-x.json",
    "beside_a_customers_key": lambda world: f"keys/{world.tenant}/tenant.json.bak",
    "as_a_timestamp_without_checkpoint": lambda world: f"checkpoints/{world.tenant}/0000009999.tsr",
    "at_the_top_of_the_checkpoints": lambda world: "checkpoints/0000000001.note",
    "among_the_checkpoints_of_a_malformed_customer": lambda world: "checkpoints/UPPER/0000000001.note",
    "among_the_endorsements": lambda world: "checkpoints/endorsements/key.pem",
    "at_the_top_of_the_receipts": lambda world: "offboarding/receipt.json",
    "among_a_customers_receipts": lambda world: f"offboarding/{world.tenant}/more.json",
    "as_the_receipt_of_an_unknown_customer": lambda world: f"offboarding/{OTHER}/receipt.json",
    "at_the_top_of_the_erased_calls": lambda world: "call-erasures/note.json",
    "among_a_customers_erased_calls": lambda world: f"call-erasures/{world.tenant}/note.txt",
    "among_the_erased_calls_of_an_unknown_customer": lambda world: f"call-erasures/{OTHER}/{OTHER}.json",
    "among_the_probes": lambda world: "probe/notes.txt",
    "as_a_leftover_probe": lambda world: f"probe/{'0' * 16}",
}
"""Keys of objects that are not Accord's."""


def _place(world: World) -> str:
    return RecordingTable.get_by_id(world.live_recording).prefix


def _put_at(name: str) -> None:
    def put(world: World) -> None:
        path = world.house.bucket / PLACES[name](world)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"something")

    put.__name__ = f"unknown_object_{name}"
    code = "endorsement.form" if name == "among_the_endorsements" else "object.unknown"
    found_as(code, "")(put)


for _name in PLACES:
    _put_at(_name)


@found_as("object.unknown", "/2026/01/02/")
def recording_copied_to_another_day(world: World) -> None:
    source = object_of(world, "manifest.json").parent
    shutil.copytree(
        source,
        world.house.bucket / world.tenant / "2026" / "01" / "02" / world.live_recording,
        dirs_exist_ok=True,
    )


@found_as("object.length", "audio.opus")
def extended_audio(world: World) -> None:
    path = object_of(world, "audio.opus")
    path.write_bytes(path.read_bytes() + b"more")


@found_as("object.length", "audio.opus")
def truncated_audio(world: World) -> None:
    path = object_of(world, "audio.opus")
    path.write_bytes(path.read_bytes()[:-1])


@found_as("object.block", "peaks")
def changed_peaks(world: World) -> None:
    path = object_of(world, "peaks")
    path.write_bytes(path.read_bytes()[:-1] + b"x")


# --- who signed what: manifests, amendments and tombstones


def sign_anew(path: Path, signer: Signer) -> None:
    path.write_bytes(signed_document.write(json.loads(path.read_bytes())["body"], signer))


def _signers() -> dict[str, tuple[str, Callable[[World, str], Signer]]]:
    """Keys that may not sign a document: the expected finding, and how to make one."""
    return {
        "of_another_root": (
            "seal.endorsement_root",
            lambda world, use: signer_of(world, root=Ed25519PrivateKey.generate(), uses=(use,)),
        ),
        "for_another_use": (
            "seal.endorsement_use",
            lambda world, use: signer_of(world, uses=("checkpoint",)),
        ),
        "that_expired": (
            "seal.endorsement_time",
            lambda world, use: signer_of(world, uses=(use,), days=1),
        ),
    }


def _tombstone(world: World) -> Path:
    return next(world.house.bucket.glob(f"*/*/*/*/{world.erased}/amendment-0001.json"))


def _manifest(world: World) -> Path:
    return Path(object_of(world, "manifest.json"))


def _hold_file(world: World) -> Path:
    hold(world)
    return Path(object_of(world, "amendment-0001.json"))


DOCUMENTS = {
    "manifest": (_manifest, MANIFEST),
    "hold": (_hold_file, AMENDMENT),
    "tombstone": (_tombstone, TOMBSTONE),
}


def _signed_by(what: str, whose: str) -> None:
    code, make = _signers()[whose]
    path_of, use = DOCUMENTS[what]

    def sign(world: World) -> None:
        sign_anew(path_of(world), make(world, use))

    sign.__name__ = f"{what}_signed_by_a_key_{whose}"
    found_as(code, "")(sign)


for _what in DOCUMENTS:
    for _whose in _signers():
        _signed_by(_what, _whose)


@found_as("seal.endorsement_use", "amendment-0001.json")
def tombstone_signed_by_panel_key(world: World) -> None:
    sign_anew(_tombstone(world), signer_of(world, uses=(AMENDMENT, "retention", "call_erasure")))


@found_as("seal.signature", "amendment-0001.json")
def changed_reason_of_hold(world: World) -> None:
    path = _hold_file(world)
    path.write_bytes(path.read_bytes().replace(b"a quarrel", b"a quarrek"))


@found_as("seal.signature", "amendment-0001.json")
def changed_reason_in_tombstone(world: World) -> None:
    path = _tombstone(world)
    path.write_bytes(path.read_bytes().replace(b'"reason":"expired"', b'"reason":"deleted"'))


@found_as("seal.key_revoked", "manifest.json")
def manifest_signed_by_revoked_key(world: World) -> dict[str, Any]:
    key = json.loads(_manifest(world).read_bytes())["endorsement"]["body"]["key_id"]
    return {"revoked": {key: world.house.clock() - timedelta(days=300)}}


def _field_changed(name: str) -> None:
    """Register a change of one field of the manifest."""

    def change(world: World) -> None:
        path = _manifest(world)
        bodies = json.loads(path.read_bytes())
        bodies["body"][name] = _otherwise(name, bodies["body"][name])
        path.write_bytes(canonical_json.dump(bodies))

    change.__name__ = f"changed_{name}_in_manifest"
    found_as("seal.", "manifest.json")(change)


def _otherwise(name: str, value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return value[:-1] if value else [{}]
    if isinstance(value, dict):
        return {each: of for each, of in value.items() if each != sorted(value)[0]}
    return "x" if value is None else f"{value[:-1]}{'1' if value[-1:] != '1' else '2'}"


FIELDS = (
    "type", "version", "recording", "tenant", "line", "number", "direction", "node", "channel", "started_at",
    "bridged_at", "ended_at", "sealed_at", "uncorrected", "keep_until", "duration_ms", "sample_rate",
    "drift_ms",
    "channels", "announcement", "unannounced", "consent", "keep_questions", "keep_consent", "markers", "gaps",
    "objects", "parties", "keys", "software",
)  # fmt: skip
for _field in FIELDS:
    _field_changed(_field)


@found_as("row.deleted", "manifest.json")
def forged_recording_signed_by_worker_key(world: World) -> None:
    """Whoever has that key can sign what never was: the log does not speak of it."""
    body = json.loads(_manifest(world).read_bytes())["body"]
    made_up = str(uuid7(world.house.clock() - timedelta(days=2), world.house.entropy))
    place = _manifest(world).parent.parent / made_up
    shutil.copytree(_manifest(world).parent, place)
    signer = world.house.services.signer
    (place / "manifest.json").write_bytes(signed_document.write(body | {"recording": made_up}, signer))
