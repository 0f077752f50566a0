"""The audit and docs/reference/formats.md know every kind of object that Accord puts into the bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from recorder.audit import unknown_objects
from recorder.auditlog import checkpoint, object_kinds, timestamping
from recorder.features.recovery import rebuild
from recorder.seal import (
    amendment,
    call_erasure,
    dispute_copy,
    keyring,
    manifest,
    offboarding,
    retention_limit,
    sealing,
)
from recorder.store import ping

from .conftest import World

ROOT = Path(__file__).parents[3]
TENANT, RECORDING = "01930000-0000-7000-8000-00000000000a", "01930000-0000-7000-8000-0000000000f1"


def listing() -> str:
    text = (ROOT / "docs" / "reference" / "formats.md").read_text("utf-8")
    return text.partition("## The bucket\n")[2].partition("```\n")[2].partition("```")[0]


def test_documentation_lists_each_kind() -> None:
    text = listing().replace("\n                     0000000001.tsr", "\ncheckpoints/<tenant>/0000000001.tsr")
    for kind in object_kinds.KINDS:
        assert kind.listed in text, kind.listed
        assert kind.compared


def test_each_documented_object_is_of_a_kind() -> None:
    names = []
    for line in listing().splitlines():
        name = re.split(r" {2,}", line.strip())[0].removesuffix(" …")
        names.append(name.rpartition("<recording>/")[2] if "<yyyy>" in name else name)
    assert len(names) == len(object_kinds.KINDS)
    for name in names:
        known = [
            kind.listed
            for kind in object_kinds.KINDS
            if name.startswith(kind.listed) or kind.listed.endswith(name)
        ]
        assert known, name


def object_keys() -> Iterator[str]:
    """One key of each function that makes keys."""
    from datetime import UTC, datetime

    place = manifest.prefix(TENANT, datetime(2026, 3, 2, tzinfo=UTC), RECORDING)
    yield from (place + name for name in ("audio.opus", "audio.wav", "peaks", "note", sealing.NAME))
    yield place + amendment.name(1)
    yield keyring.tenant_key_path(TENANT)
    yield keyring.data_key_path(TENANT, RECORDING)
    yield keyring.every_tenant_key_path(TENANT, "0" * 32)
    yield keyring.next_tenant_key_path(TENANT)
    yield checkpoint.place_of(TENANT, 1)
    yield timestamping.token_place(checkpoint.place_of(TENANT, 1))
    yield f"{checkpoint.ENDORSEMENTS}{'0' * 32}-{'0' * 16}.json"
    yield offboarding.folder_of(TENANT) + "statement-0001.json"
    yield offboarding.place_of(TENANT)
    yield retention_limit.place_of(TENANT, RECORDING)
    yield retention_limit.place_of(TENANT, RECORDING, lifted=True)
    yield f"{call_erasure.NOTES}{TENANT}/{RECORDING}.json"
    yield dispute_copy.CopyPlace(TENANT, RECORDING, RECORDING, 1).key
    yield f"{ping.PLACE}{'0' * 16}"


def test_each_generated_key_is_of_exactly_one_kind() -> None:
    kinds = [object_kinds.kind_of(key) for key in object_keys()]
    assert None not in kinds, [key for key, kind in zip(object_keys(), kinds, strict=True) if kind is None]
    assert {kind.listed for kind in kinds if kind} == {kind.listed for kind in object_kinds.KINDS}
    assert len(kinds) == len(object_kinds.KINDS)
    folders = {offboarding.FOLDER, call_erasure.NOTES, retention_limit.FOLDER, checkpoint.FOLDER, ping.PLACE}
    assert folders < {*object_kinds.FOLDERS}


def test_names_in_a_recordings_folder() -> None:
    for name in ("audio.opus", "audio.wav", "peaks", "note", "manifest.json", "amendment-0001.json"):
        assert object_kinds.is_recording_object(name)
    for name in ("audio.mp3", "amendment-1.json", "tenant.json", ""):
        assert not object_kinds.is_recording_object(name)


def test_data_keys_are_distinguished_from_tenant_keys() -> None:
    assert object_kinds.is_data_key(keyring.data_key_path(TENANT, RECORDING))
    for key in (
        keyring.tenant_key_path(TENANT),
        keyring.next_tenant_key_path(TENANT),
        checkpoint.place_of(TENANT, 1),
        "keys/kek",
    ):
        assert not object_kinds.is_data_key(key)


def test_rebuild_skips_the_same_folders() -> None:
    found = [f"{folder}x/y" for folder in object_kinds.FOLDERS]
    assert list(rebuild._places(iter(found))) == []


def test_every_stored_object_is_of_a_kind(world: World) -> None:
    """Every object in the bucket of the world."""
    keys_ = world.house.objects()
    assert len(keys_) > 10
    assert [key for key in keys_ if object_kinds.kind_of(key) is None] == []


def test_search_for_unknown_objects_skips_known_folders(world: World) -> None:
    """Known folders are skipped: a few listings, however many recordings there are."""
    for number in range(300):
        path = world.house.bucket / world.tenant / "2026" / "01" / "01" / f"r{number}" / "audio.opus"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    keys = []

    class KeyCounter:
        def list(self, prefix: str, after: str = "") -> Iterator[str]:
            for key in world.house.services.store.list(prefix, after):
                keys.append(key)
                yield key

    found = list(unknown_objects.find_unknown(KeyCounter(), {world.tenant}))  # type: ignore[arg-type]
    assert found == []
    assert len(keys) < 20
