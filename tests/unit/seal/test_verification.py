"""`accord recording verify`'s checks: every alteration is found and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.seal import keyring, signing, streaming_aead
from recorder.seal.document_source import Files
from recorder.seal.manifest import Manifest
from recorder.seal.sealing import NAME, SealedTake
from recorder.seal.verification import CHECKS, VerificationReport, verify
from recorder.store.contract import Unreachable

from .recording import NOW, RECORDING, TENANT, Bucket, Keys, make_keys, make_sealed, sign

PREFIX = f"{TENANT}/2026/11/25/{RECORDING}/"
OPUS = PREFIX + "audio.opus"
KEY = keyring.data_key_path(TENANT, RECORDING)
TENANT_KEY = keyring.tenant_key_path(TENANT)


def check(bucket: Bucket, keys: Keys, *, with_key: bool = True) -> VerificationReport:
    ring = keys.keyring if with_key else None
    return verify(bucket, PREFIX, keys.root.public_key(), ring, NOW)


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_unchanged_recording_verifies(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    report = check(bucket, keys)
    assert report.ok
    assert report.findings == []
    assert report.checked == sorted(CHECKS)
    assert report.manifest == sealed.manifest


def test_stored_bytes_are_checked_without_keys(bucket: Bucket, keys: Keys) -> None:
    report = check(bucket, keys, with_key=False)
    assert report.ok
    assert report.checked == [1, 2, 3, 4, 5, 6, 7, 8, 12]


def test_every_stored_byte_is_read_once(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bytes_read: dict[str, int] = {}
    read = bucket.read

    def count(key: str, start: int = 0, end: int | None = None) -> bytes:
        content = read(key, start, end)
        bytes_read[key] = bytes_read.get(key, 0) + len(content)
        return content

    bucket.read = count  # type: ignore[method-assign]
    assert check(bucket, keys).ok
    assert {key: bytes_read[key] for key in bucket.objects} == {k: len(v) for k, v in bucket.objects.items()}


def resign(bucket: Bucket, keys: Keys, sealed: SealedTake, **changed: object) -> None:
    """The signing key itself lies: only the other checks can find it."""
    manifest: Manifest = replace(sealed.manifest, **changed)  # type: ignore[arg-type]
    bucket.objects[PREFIX + NAME] = sign(manifest, keys.signer)


Alteration = Callable[[Bucket, Keys, SealedTake], None]
ALTERATIONS: dict[str, tuple[Alteration, set[tuple[int, str]]]] = {}


def alteration(*expected: tuple[int, str]) -> Callable[[Alteration], Alteration]:
    def register(change: Alteration) -> Alteration:
        ALTERATIONS[change.__name__] = (change, set(expected))
        return change

    return register


@alteration((7, "object.block"))
def one_bit_of_the_sound(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[OPUS] = flip(bucket.objects[OPUS], 200_000)


@alteration((6, "object.length"), (7, "object.block"))
def the_sound_cut_at_a_block(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[OPUS] = bucket.objects[OPUS][: 2 * streaming_aead.SEGMENT]


@alteration((6, "object.length"))
def bytes_added_to_the_sound(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[OPUS] += b"x"


@alteration((7, "object.block"))
def two_blocks_exchanged(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    content = bucket.objects[OPUS]
    size = streaming_aead.SEGMENT
    bucket.objects[OPUS] = (
        content[:size] + content[2 * size : 3 * size] + content[size : 2 * size] + content[3 * size :]
    )


@alteration((6, "object.missing"))
def the_sound_removed(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    del bucket.objects[OPUS]


@alteration((8, "object.unknown"))
def another_sound_laid_beside(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[PREFIX + "audio.mp3"] = b"x"


@alteration((1, "manifest.missing"))
def the_manifest_removed(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    del bucket.objects[PREFIX + NAME]


@alteration((4, "seal.signature"))
def another_number_in_the_manifest(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[PREFIX + NAME] = bucket.objects[PREFIX + NAME].replace(b"+3225550100", b"+3225550101")


@alteration((4, "seal.signature"))
def a_longer_purpose_in_the_manifest(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[PREFIX + NAME] = bucket.objects[PREFIX + NAME].replace(b"2026-12-25", b"2029-12-25")


@alteration((2, "seal.not_canonical"))
def the_manifest_written_by_something_else(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[PREFIX + NAME] = json.dumps(json.loads(bucket.objects[PREFIX + NAME]), indent=1).encode()


@alteration((2, "seal.duplicate_field"))
def a_field_twice_in_the_manifest(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    content = bucket.objects[PREFIX + NAME]
    bucket.objects[PREFIX + NAME] = content.replace(b'"drift_ms":-100', b'"drift_ms":0,"drift_ms":-100')


@alteration((2, "seal.not_json"))
def the_manifest_cut(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[PREFIX + NAME] = bucket.objects[PREFIX + NAME][:-10]


@alteration((3, "seal.endorsement_root"))
def signed_by_an_installation_of_ones_own(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    own = make_keys(keys.folder.parent / "own")
    bucket.objects[PREFIX + NAME] = sign(sealed.manifest, own.signer)


@alteration((3, "seal.endorsement_signature"))
def the_endorsement_prolonged(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    content = bucket.objects[PREFIX + NAME]
    year = keys.signer.endorsement.not_after.year
    bucket.objects[PREFIX + NAME] = content.replace(
        b'"not_after":"%d' % year, b'"not_after":"%d' % (year + 5)
    )


@alteration((3, "seal.endorsement_use"))
def signed_by_a_key_endorsed_for_another_use(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    dates = (keys.signer.endorsement.not_before, keys.signer.endorsement.not_after)
    endorsement = signing.endorse(keys.root, key.public_key(), (signing.CHECKPOINT,), *dates)
    bucket.objects[PREFIX + NAME] = sign(sealed.manifest, signing.Signer(key, endorsement))


@alteration(
    (5, "manifest.place"),
    (6, "object.missing"),
    (7, "object.block"),
    (8, "object.unknown"),
    (9, "key.missing"),
)
def another_recordings_manifest(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    """Whole and rightly signed, but of another recording."""
    manifest = replace(
        sealed.manifest,
        recording="0198c0de-0000-7000-8000-000000000099",
        objects=tuple(replace(o, blocks=("0" * 64,) * len(o.blocks)) for o in sealed.manifest.objects[1:]),
    )
    bucket.objects[PREFIX + NAME] = sign(manifest, keys.signer)
    del bucket.objects[PREFIX + "peaks"]


@alteration((9, "key.missing"))
def the_wrapped_key_removed(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    del bucket.objects[KEY]


@alteration((9, "seal.key_damaged"))
def the_wrapped_key_changed(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[KEY] = replace(sealed.key, wrapped=flip(sealed.key.wrapped, 3)).to_bytes()


@alteration((9, "seal.not_json"))
def the_wrapped_key_overwritten(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[KEY] = b"gone"


@alteration((9, "seal.key_foreign"))
def the_key_of_another_recording(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    _, other = keys.keyring.new_data_key(keys.tenant_key, "0198c0de-0000-7000-8000-000000000099")
    bucket.objects[KEY] = other.to_bytes()


@alteration((9, "seal.key_foreign"))
def a_new_key_for_the_same_recording(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    _, other = keys.keyring.new_data_key(keys.tenant_key, RECORDING)
    bucket.objects[KEY] = other.to_bytes()


@alteration((9, "seal.key_foreign"))
def another_tenant_key(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[TENANT_KEY] = keys.keyring.new_tenant_key(TENANT).to_bytes()


def rewrap(
    keys: Keys, tenant_key: keyring.WrappedKey, sealed: SealedTake, recording: str
) -> keyring.WrappedKey:
    """The sealed data key, wrapped anew by who holds the key-encryption key."""
    data_key = keys.keyring.open_data_key(keys.tenant_key, sealed.key)
    replay = [data_key.key, bytes(12)]
    _, wrapped = keys.keyring.new_data_key(tenant_key, recording, lambda _length: replay.pop(0))
    return wrapped


@alteration((9, "seal.key_foreign"))
def the_data_key_wrapped_for_another_recording(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    wrapped = rewrap(keys, keys.tenant_key, sealed, "0198c0de-0000-7000-8000-000000000099")
    bucket.objects[KEY] = wrapped.to_bytes()


@alteration((12, "seal.field"))
def an_amendment_that_is_none(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    bucket.objects[PREFIX + "amendment-0001.json"] = b"{}"


@alteration((9, "seal.kek_missing"))
def the_tenant_key_wrapped_by_an_unknown_key(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    inner = keys.keyring.open_tenant_key(keys.tenant_key)
    replay = [inner.key, bytes(12)]
    stranger = keyring.Keyring(keyring.make_secret(bytes(32)))
    wrapped: keyring.WrappedKey = stranger.new_tenant_key(TENANT, lambda _length: replay.pop(0))
    assert wrapped.key_id == keys.tenant_key.key_id
    bucket.objects[TENANT_KEY] = wrapped.to_bytes()


@alteration((7, "object.hash"))
def a_whole_hash_that_is_not_that_of_the_blocks(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    objects = tuple(replace(each, stored_sha256="0" * 64) for each in sealed.manifest.objects[:1])
    resign(bucket, keys, sealed, objects=objects + sealed.manifest.objects[1:])


@alteration((10, "object.plain"))
def a_plain_hash_that_is_another(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    objects = tuple(replace(each, plain_sha256="0" * 64) for each in sealed.manifest.objects[:1])
    resign(bucket, keys, sealed, objects=objects + sealed.manifest.objects[1:])


@alteration((10, "object.decryption"))
def a_sealed_object_encrypted_under_another_name(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    """Peaks and an object like them exchanged, hashes and all, by who holds the signing key."""
    wav, peaks = sealed.manifest.objects[1], sealed.manifest.objects[2]
    swapped = (
        sealed.manifest.objects[0],
        replace(peaks, name=wav.name, media_type=wav.media_type),
        replace(wav, name=peaks.name, media_type=peaks.media_type),
    )
    at_wav, at_peaks = PREFIX + wav.name, PREFIX + peaks.name
    bucket.objects[at_wav], bucket.objects[at_peaks] = bucket.objects[at_peaks], bucket.objects[at_wav]
    resign(bucket, keys, sealed, objects=swapped)


@alteration((11, "parties.decryption"))
def other_parties(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    resign(bucket, keys, sealed, parties=flip(sealed.manifest.parties, 60))


@pytest.mark.parametrize("name", ALTERATIONS)
def test_each_alteration_is_reported(bucket: Bucket, keys: Keys, sealed: SealedTake, name: str) -> None:
    change, expected = ALTERATIONS[name]
    assert check(bucket, keys).ok
    change(bucket, keys, sealed)
    report = check(bucket, keys)
    assert {(finding.check, finding.code) for finding in report.findings} == expected
    assert not report.ok


def test_changed_blocks_are_listed(bucket: Bucket, keys: Keys) -> None:
    content = flip(flip(bucket.objects[OPUS], 70_000), 299_000)
    bucket.objects[OPUS] = content
    for with_key in (True, False):
        (finding,) = check(bucket, keys, with_key=with_key).findings
        assert finding.where == OPUS
        assert finding.blocks == (1, 4)


def test_unavailable_store_is_raised(bucket: Bucket, keys: Keys) -> None:
    def away(key: str, start: int = 0, end: int | None = None) -> bytes:
        raise Unreachable("store.unreachable", "away", "try again")

    bucket.read = away  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        check(bucket, keys)


def test_folder_with_one_recording_is_verified(tmp_path: Path, keys: Keys) -> None:
    sealed = make_sealed(tmp_path / "take", keys)
    folder = tmp_path / "downloaded"
    folder.mkdir()
    for upload in sealed.uploads:
        (folder / Path(upload.key).name).write_bytes(upload.path.read_bytes())
    (folder / "tenant.json").write_bytes(keys.tenant_key.to_bytes())
    report = verify(Files(folder), "", keys.root.public_key(), keys.keyring, NOW)
    assert report.findings == []
    assert report.checked == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    (folder / "audio.opus").write_bytes(flip((folder / "audio.opus").read_bytes(), 5))
    (folder / "other.wav").write_bytes(b"")
    report = verify(Files(folder), "", keys.root.public_key())
    assert [finding.code for finding in report.findings] == ["object.block", "object.unknown"]


def test_a_copy_of_the_bucket_is_verified_in_place(tmp_path: Path, keys: Keys) -> None:
    sealed = make_sealed(tmp_path / "take", keys)
    copy = tmp_path / "copy"
    for upload in sealed.uploads:
        (copy / upload.key).parent.mkdir(parents=True, exist_ok=True)
        (copy / upload.key).write_bytes(upload.path.read_bytes())
    (copy / TENANT_KEY).write_bytes(keys.tenant_key.to_bytes())
    report = verify(Files(copy), PREFIX, keys.root.public_key(), keys.keyring, NOW)
    assert report.findings == []
    assert report.checked == sorted(CHECKS)


def test_any_tenant_key_may_wrap_the_sealed_key(bucket: Bucket, keys: Keys, sealed: SealedTake) -> None:
    """A tenant's key may be changed: what was wrapped by one of before is found by that one's id."""
    other = keys.keyring.new_tenant_key(TENANT)
    bucket.objects[TENANT_KEY] = other.to_bytes()
    bucket.objects[keyring.every_tenant_key_path(TENANT, keys.tenant_key.key_id)] = keys.tenant_key.to_bytes()
    assert check(bucket, keys).ok, "not wrapped anew yet"
    bucket.objects[KEY] = rewrap(keys, other, sealed, RECORDING).to_bytes()
    assert check(bucket, keys).ok
    fresh = keys.keyring.new_data_key(other, RECORDING)[1]
    bucket.objects[KEY] = fresh.to_bytes()
    assert not check(bucket, keys).ok, "another data key"
