"""Changes to what lies in the bucket: wrapped keys, objects that nobody knows, and who signed what."""

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
from recorder.lifecycle.key_rotation import Rewrapping
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
    return world.house.bucket / "keys" / world.tenant / f"{name or world.kept}.json"


def rewrite(path: Path, **changes: Any) -> str:
    """A wrapped key that says something else; its text."""
    content = canonical_json.dump(json.loads(path.read_bytes()) | changes)
    path.write_bytes(content)
    return content.decode()


def damaged(path: Path) -> str:
    """Of a wrapped key, that another key is in it, or none."""
    wrapped = json.loads(path.read_bytes())["wrapped"]
    return rewrite(path, wrapped=("B" if wrapped[0] != "B" else "C") + wrapped[1:])


def in_the_row(world: World, text: str | None) -> None:
    with writing():
        RecordingTable.update(wrapped_key=text).where(RecordingTable.id == world.kept).execute()


def foreign_tenant_key(world: World) -> WrappedKey:
    return world.house.means.keyring.new_tenant_key(OTHER, world.house.entropy)


def rotate(world: World) -> str:
    """The customer gets another key, as by `accord keys rotate`; the id of the one before."""
    house = world.house
    before = json.loads(key_of(world, "tenant").read_bytes())["key_id"]
    rewrapping = Rewrapping(house.means.store, house.means.keyring, house.clock, house.entropy, "one")
    rewrapping.begin(world.tenant)
    rewrapping.all()
    world.sign()
    assert world.audit(deep=True) == []
    return str(before)


# --- wrapped keys, without a key-encryption key


@found_as("key.missing", "tenant.json")
def a_customers_wrapped_key_is_deleted(world: World) -> None:
    key_of(world, "tenant").unlink()


@found_as("key.differs", "tenant.json")
def a_customers_wrapped_key_is_damaged(world: World) -> None:
    damaged(key_of(world, "tenant"))


@found_as("key.differs", "tenant.json")
def a_customers_wrapped_key_is_anothers(world: World) -> None:
    key_of(world, "tenant").write_bytes(foreign_tenant_key(world).to_bytes())


@found_as("key.differs", "tenant.json")
def a_customers_wrapped_key_is_a_recordings(world: World) -> None:
    shutil.copy(key_of(world), key_of(world, "tenant"))


@found_as("key.differs", "tenant.json")
def a_customers_wrapped_key_becomes_something_else(world: World) -> None:
    key_of(world, "tenant").write_text("nothing")


@found_as("row.changed", "tenant")
def a_customers_wrapped_key_is_damaged_in_bucket_and_catalogue(world: World) -> None:
    with writing():
        TenantTable.update(wrapped_key=damaged(key_of(world, "tenant"))).execute()


@found_as("row.changed", "tenant")
def a_customers_wrapped_key_is_emptied_in_the_catalogue(world: World) -> None:
    with writing():
        TenantTable.update(wrapped_key="").execute()


@found_as("key.missing", "keys/")
def a_recordings_wrapped_key_is_deleted(world: World) -> None:
    key_of(world).unlink()


@found_as("key.differs", "keys/")
def a_recordings_wrapped_key_is_damaged(world: World) -> None:
    damaged(key_of(world))


@found_as("key.differs", "keys/")
def a_recordings_wrapped_key_is_damaged_in_its_row(world: World) -> None:
    text = key_of(world).read_text()
    in_the_row(world, damaged(key_of(world)))
    key_of(world).write_text(text)


@found_as("row.changed", "recording")
def a_recordings_wrapped_key_is_taken_out_of_its_row(world: World) -> None:
    in_the_row(world, None)


@found_as("seal.key_foreign", "keys/")
def a_recordings_wrapped_key_is_another_recordings(world: World) -> None:
    rewrite(key_of(world), recording=world.erased)


@found_as("seal.key_foreign", "keys/")
def a_recordings_wrapped_key_is_another_customers(world: World) -> None:
    rewrite(key_of(world), tenant=OTHER)


@found_as("seal.key_foreign", "keys/")
def a_recordings_wrapped_key_is_said_to_be_another_in_bucket_and_catalogue(world: World) -> None:
    in_the_row(world, rewrite(key_of(world), key_id="00" * 16))


@found_as("seal.key_foreign", "keys/")
def a_recordings_wrapped_key_is_wrapped_by_a_key_that_nobody_knows(world: World) -> None:
    in_the_row(world, rewrite(key_of(world), wrapped_by="00" * 16))


@found_as("seal.key_kind", "keys/")
def a_recordings_wrapped_key_is_the_customers(world: World) -> None:
    shutil.copy(key_of(world, "tenant"), key_of(world))


@found_as("seal.unknown_field", "keys/")
def a_recordings_wrapped_key_says_more_than_any_does(world: World) -> None:
    rewrite(key_of(world), more="x")


@found_as("seal.not_json", "keys/")
def a_recordings_wrapped_key_becomes_something_else(world: World) -> None:
    key_of(world).write_text("nothing")


@found_as("key.not_erased", "keys/")
def a_destroyed_recordings_key_is_brought_back(world: World) -> None:
    shutil.copy(key_of(world), key_of(world, world.erased))


@found_as("key.missing", "tenant-")
def an_older_key_of_a_customers_is_deleted(world: World) -> None:
    key_of(world, f"tenant-{rotate(world)}").unlink()


@found_as("seal.key_foreign", "tenant-")
def an_older_key_of_a_customers_is_replaced_by_the_present_one(world: World) -> None:
    before = rotate(world)
    shutil.copy(key_of(world, "tenant"), key_of(world, f"tenant-{before}"))


@found_as("object.unknown", "tenant-")
def a_key_that_the_customer_never_had_is_put_among_theirs(world: World) -> None:
    rotate(world)
    shutil.copy(key_of(world, "tenant"), key_of(world, f"tenant-{'0' * 32}"))


@found_as("seal.key_foreign", "tenant-next.json")
def another_customers_key_is_to_be_the_next(world: World) -> None:
    key_of(world, "tenant-next").write_bytes(foreign_tenant_key(world).to_bytes())


@found_as("seal.key_kind", "tenant-next.json")
def a_recordings_key_is_to_be_the_customers_next(world: World) -> None:
    shutil.copy(key_of(world), key_of(world, "tenant-next"))


@found_as("seal.not_json", "tenant-next.json")
def nothing_is_to_be_the_customers_next_key(world: World) -> None:
    key_of(world, "tenant-next").write_text("nothing")


# --- wrapped keys, with one


@found_as("seal.key_damaged", "keys/")
def a_recordings_wrapped_key_is_damaged_in_bucket_and_catalogue(world: World) -> dict[str, Any]:
    in_the_row(world, damaged(key_of(world)))
    return DEEP


@found_as("seal.key_damaged", "tenant.json")
def a_customers_wrapped_key_is_damaged_everywhere_and_opened(world: World) -> dict[str, Any]:
    a_customers_wrapped_key_is_damaged_in_bucket_and_catalogue(world)
    return DEEP


@found_as("seal.key_damaged", "tenant-")
def an_older_key_of_a_customers_is_damaged(world: World) -> dict[str, Any]:
    damaged(key_of(world, f"tenant-{rotate(world)}"))
    return DEEP


@found_as("seal.key_damaged", "tenant-next.json")
def the_next_key_of_a_customers_is_damaged(world: World) -> dict[str, Any]:
    house = world.house
    Rewrapping(house.means.store, house.means.keyring, house.clock, house.entropy, "one").begin(world.tenant)
    damaged(key_of(world, "tenant-next"))
    return DEEP


@found_as("seal.kek_missing", "tenant-")
def an_older_key_of_a_customers_is_wrapped_by_a_key_that_nobody_has(world: World) -> dict[str, Any]:
    rewrite(key_of(world, f"tenant-{rotate(world)}"), wrapped_by="00" * 16)
    return DEEP


# --- objects that nobody knows

PLACES: dict[str, Callable[[World], str]] = {
    "right_in_the_bucket": lambda world: "notes.txt",
    "in_a_folder_of_nobodys": lambda world: "backup/catalogue.db",
    "in_a_folder_of_a_customer_that_is_not_there": lambda world: (
        f"{OTHER}/2026/03/02/{world.kept}/audio.opus"
    ),
    "right_in_a_customers_folder": lambda world: f"{world.tenant}/notes.txt",
    "in_a_year_of_a_customers": lambda world: f"{world.tenant}/2026/notes.txt",
    "in_a_day_of_a_customers": lambda world: f"{world.tenant}/2026/03/02/notes.txt",
    "in_a_day_that_is_none": lambda world: f"{world.tenant}/2026/3/2/{world.kept}/audio.opus",
    "below_a_recording_in_a_folder": lambda world: f"{_place(world)}more/audio.opus",
    "beside_a_recordings_sound": lambda world: f"{_place(world)}audio.mp3",
    "beside_a_recording_like_an_amendment": lambda world: f"{_place(world)}amendment-1.json",
    "as_a_recording_that_was_never_committed": lambda world: f"{world.tenant}/2026/01/02/{OTHER}/audio.opus",
    "as_a_recording_of_an_id_that_is_none": lambda world: f"{world.tenant}/2026/03/02/x/audio.opus",
    "as_a_recording_on_another_day": lambda world: f"{world.tenant}/2026/01/02/{world.kept}/audio.opus",
    "right_among_the_keys": lambda world: "keys/kek",
    "among_the_keys_of_a_customer_that_is_not_there": lambda world: f"keys/{OTHER}/tenant.json",
    "among_a_customers_keys": lambda world: f"keys/{world.tenant}/kek.txt",
    "among_a_customers_keys_in_a_folder": lambda world: f"keys/{world.tenant}/old/tenant.json",
    "as_the_key_of_a_recording_that_is_nowhere": lambda world: f"keys/{world.tenant}/{OTHER}.json",
    "as_a_key_of_a_customers_that_is_none": lambda world: f"keys/{world.tenant}/tenant-x.json",
    "beside_a_customers_key": lambda world: f"keys/{world.tenant}/tenant.json.bak",
    "as_the_timestamp_of_no_checkpoint": lambda world: f"checkpoints/{world.tenant}/0000009999.tsr",
    "right_among_the_checkpoints": lambda world: "checkpoints/0000000001.note",
    "among_checkpoints_of_what_is_no_customer": lambda world: "checkpoints/UPPER/0000000001.note",
    "among_the_endorsements": lambda world: "checkpoints/endorsements/key.pem",
    "right_among_the_receipts": lambda world: "offboarding/receipt.json",
    "among_the_receipts_of_a_customer": lambda world: f"offboarding/{world.tenant}/more.json",
    "as_the_receipt_of_a_customer_that_is_not_there": lambda world: f"offboarding/{OTHER}/receipt.json",
    "right_among_the_erased_calls": lambda world: "call-erasures/note.json",
    "among_the_erased_calls_of_a_customer": lambda world: f"call-erasures/{world.tenant}/note.txt",
    "as_erased_calls_of_a_customer_that_is_not_there": lambda world: f"call-erasures/{OTHER}/{OTHER}.json",
    "where_a_server_is_tried": lambda world: "probe/notes.txt",
    "where_a_server_is_tried_and_stays": lambda world: f"probe/{'0' * 16}",
}
"""Where somebody can put something that is none of Accord's."""


def _place(world: World) -> str:
    return RecordingTable.get_by_id(world.kept).prefix


def _put_at(name: str) -> None:
    def put(world: World) -> None:
        path = world.house.bucket / PLACES[name](world)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"something")

    put.__name__ = f"something_is_put_{name}"
    code = "endorsement.form" if name == "among_the_endorsements" else "object.unknown"
    found_as(code, "")(put)


for _name in PLACES:
    _put_at(_name)


@found_as("object.unknown", "/2026/01/02/")
def a_whole_recording_is_copied_to_another_day(world: World) -> None:
    source = object_of(world, "manifest.json").parent
    shutil.copytree(
        source, world.house.bucket / world.tenant / "2026" / "01" / "02" / world.kept, dirs_exist_ok=True
    )


@found_as("object.length", "audio.opus")
def bytes_are_appended_to_a_sound(world: World) -> None:
    path = object_of(world, "audio.opus")
    path.write_bytes(path.read_bytes() + b"more")


@found_as("object.length", "audio.opus")
def bytes_are_cut_from_a_sound(world: World) -> None:
    path = object_of(world, "audio.opus")
    path.write_bytes(path.read_bytes()[:-1])


@found_as("object.block", "peaks")
def the_outline_of_a_sound_is_changed(world: World) -> None:
    path = object_of(world, "peaks")
    path.write_bytes(path.read_bytes()[:-1] + b"x")


# --- who signed what: manifests, amendments and tombstones


def sign_anew(path: Path, signer: Signer) -> None:
    path.write_bytes(signed_document.write(json.loads(path.read_bytes())["body"], signer))


def _signers() -> dict[str, tuple[str, Callable[[World, str], Signer]]]:
    """Keys that may not sign a document, by who has them: what is found, and how one is made."""
    return {
        "of_another_root": (
            "seal.endorsement_root",
            lambda world, use: signer_of(world, root=Ed25519PrivateKey.generate(), uses=(use,)),
        ),
        "for_something_else": (
            "seal.endorsement_use",
            lambda world, use: signer_of(world, uses=("checkpoint",)),
        ),
        "whose_time_is_over": (
            "seal.endorsement_time",
            lambda world, use: signer_of(world, uses=(use,), days=1),
        ),
    }


def _tombstone(world: World) -> Path:
    return next(world.house.bucket.glob(f"*/*/*/*/{world.erased}/amendment-0001.json"))


def _manifest(world: World) -> Path:
    return Path(object_of(world, "manifest.json"))


def _held(world: World) -> Path:
    hold(world)
    return Path(object_of(world, "amendment-0001.json"))


DOCUMENTS = {
    "manifest": (_manifest, MANIFEST),
    "hold": (_held, AMENDMENT),
    "tombstone": (_tombstone, TOMBSTONE),
}


def _signed_by(what: str, whose: str) -> None:
    code, make = _signers()[whose]
    path_of, use = DOCUMENTS[what]

    def sign(world: World) -> None:
        sign_anew(path_of(world), make(world, use))

    sign.__name__ = f"a_{what}_is_signed_by_a_key_{whose}"
    found_as(code, "")(sign)


for _what in DOCUMENTS:
    for _whose in _signers():
        _signed_by(_what, _whose)


@found_as("seal.endorsement_use", "amendment-0001.json")
def a_tombstone_is_signed_by_the_panels_key(world: World) -> None:
    sign_anew(_tombstone(world), signer_of(world, uses=(AMENDMENT, "retention", "call_erasure")))


@found_as("seal.signature", "amendment-0001.json")
def a_holds_reason_is_changed_in_the_bucket(world: World) -> None:
    path = _held(world)
    path.write_bytes(path.read_bytes().replace(b"a quarrel", b"a quarrek"))


@found_as("seal.signature", "amendment-0001.json")
def why_a_recording_was_destroyed_is_changed_in_its_tombstone(world: World) -> None:
    path = _tombstone(world)
    path.write_bytes(path.read_bytes().replace(b'"reason":"expired"', b'"reason":"deleted"'))


@found_as("seal.key_revoked", "manifest.json")
def a_manifest_was_signed_after_its_key_was_taken_back(world: World) -> dict[str, Any]:
    key = json.loads(_manifest(world).read_bytes())["endorsement"]["body"]["key_id"]
    return {"revoked": {key: world.house.clock() - timedelta(days=300)}}


def _field_changed(name: str) -> None:
    """What a manifest says, changed in place, one field at a time."""

    def change(world: World) -> None:
        path = _manifest(world)
        said = json.loads(path.read_bytes())
        said["body"][name] = _otherwise(name, said["body"][name])
        path.write_bytes(canonical_json.dump(said))

    change.__name__ = f"what_a_manifest_says_of_{name}_is_changed"
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
def a_recording_is_made_up_and_signed_by_the_workers_key(world: World) -> None:
    """Whoever has that key can sign what never was: the log does not speak of it."""
    body = json.loads(_manifest(world).read_bytes())["body"]
    made_up = str(uuid7(world.house.clock() - timedelta(days=2), world.house.entropy))
    place = _manifest(world).parent.parent / made_up
    shutil.copytree(_manifest(world).parent, place)
    signer = world.house.means.signer
    (place / "manifest.json").write_bytes(signed_document.write(body | {"recording": made_up}, signer))
