"""The manifest: everything that is sealed, in one spelling, and nothing that can be read two ways."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.domain.markers import MARKER_KINDS, LocatedMarker
from recorder.domain.parties import Party
from recorder.errors import SealError
from recorder.seal import plaintext, signing, streaming_aead
from recorder.seal.keyring import make_secret
from recorder.seal.manifest import JoinedParty, Parties, UncorrectedTimes, decrypt_parties, to_body
from recorder.seal.sealing import SealedTake, open_manifest, read_sealed, seal
from recorder.spool.layout import parse_start, start_body
from recorder.strict_json import b64
from tests.expected_errors import expect_error

from .recording import NOW, RECORDING, START, TENANT, Keys, make_encoded, make_sealed, sign

Change = Callable[[dict[str, Any]], object]


def test_manifest_round_trips(sealed: SealedTake, keys: Keys) -> None:
    assert open_manifest(sealed.manifest_bytes, keys.root.public_key(), NOW) == sealed.manifest
    assert read_sealed(sealed.folder, keys.root.public_key(), NOW) == sealed


def test_manifest_body_field_by_field(sealed: SealedTake) -> None:
    """Field by field, so that a renamed or lost field is seen: the format stands for years."""
    body = json.loads(sealed.manifest_bytes)["body"]
    objects = {entry["name"]: entry for entry in body.pop("objects")}
    assert set(objects) == {"audio.opus", "audio.wav", "peaks"}
    assert set(objects["peaks"]) == {
        "name", "media_type", "plain_sha256", "plain_length", "stored_sha256", "stored_length", "blocks",
    }  # fmt: skip
    assert len(objects["audio.opus"]["blocks"]) == 5
    assert len(body.pop("parties")) > 300
    assert set(body.pop("keys")) == {"data", "tenant"}
    assert body == {
        "type": "accord-manifest",
        "version": 1,
        "recording": RECORDING,
        "tenant": TENANT,
        "line": "0198c0de-0000-7000-8000-0000000000bb",
        "number": "+3225550100",
        "direction": "inbound",
        "node": "node-1",
        "channel": "5c6e9f3a-0000-4000-8000-000000000001",
        "started_at": "2026-11-25T09:30:00.123Z",
        "bridged_at": "2026-11-25T09:30:09.123Z",
        "ended_at": "2026-11-25T09:31:10.123Z",
        "sealed_at": "2026-11-25T09:35:00.123Z",
        "uncorrected": None,
        "keep_until": "2026-12-25T09:30:00.123Z",
        "duration_ms": 69900,
        "drift_ms": -100,
        "sample_rate": 8000,
        "channels": {"left": "external_party_says", "right": "external_party_hears"},
        "announcement": {
            "id": "0198c0de-0000-7000-8000-0000000000aa",
            "version": 3,
            "language": "fr",
            "text": "Cet appel est enregistré afin que ce qui a été convenu reste clair ; gardé 30 jours.",
            "keep_days": 30,
            "sound_sha256": hashlib.sha256(b"sound").hexdigest(),
            "purposes": [
                {"code": "agreement", "until": "2026-12-25T09:30:00.123Z"},
                {"code": "quality", "until": "2026-12-25T09:30:00.123Z"},
            ],
            "offset_ms": 210,
            "end_ms": 6410,
            "score": 0.987654,
        },
        "unannounced": None,
        "consent": {"mode": "notice", "answer": None, "key": None, "at": None, "question": None},
        "keep_questions": [],
        "keep_consent": None,
        "markers": [
            {"at": "2026-11-25T09:30:09.123Z", "offset_ms": 9000, "kind": "bridged", "data": {}},
            {
                "at": "2026-11-25T09:31:10.123Z",
                "offset_ms": 69900,
                "kind": "hangup",
                "data": {"cause": "NORMAL_CLEARING"},
            },
        ],
        "gaps": [
            {"start_ms": 0, "end_ms": 9000, "channel": "left", "reason": "before_announcement_end"},
            {"start_ms": 20000, "end_ms": 25000, "channel": "both", "reason": "hold"},
        ],
        "software": body["software"],
    }
    assert body["software"].startswith("accord ")


def test_parties_are_encrypted(sealed: SealedTake, keys: Keys) -> None:
    for upload in sealed.uploads:
        for value in (b"32470123456", b'"1001"', b"extension"):
            assert value not in upload.path.read_bytes()
    data_key = keys.keyring.open_data_key(keys.tenant_key, sealed.key)
    internal_party = Party("extension", "1001")
    assert decrypt_parties(sealed.manifest, data_key) == Parties(
        Party("e164", "+32470123456"), internal_party, (JoinedParty(9000, internal_party),)
    )
    with expect_error(SealError, "seal.key_foreign"):
        decrypt_parties(sealed.manifest, make_secret(bytes(32)))


def test_stated_name_is_sealed_with_the_parties_and_readable_nowhere_else(tmp_path: Path, keys: Keys) -> None:
    """Without one, nothing is different from a call whose daemon knew no such field."""
    encoded = make_encoded(tmp_path / "a")
    other_start = replace(encoded.take.start, caller_name="Jan Peeters")
    other = replace(encoded, take=replace(encoded.take, start=other_start))
    for name, one in (("", encoded), ("Jan Peeters", other)):
        sealed = seal(one, keys.keyring, keys.tenant_key, keys.signer, NOW)
        data_key = keys.keyring.open_data_key(keys.tenant_key, sealed.key)
        assert decrypt_parties(sealed.manifest, data_key).caller_name == name
        assert b"caller_name" not in sealed.manifest_bytes
        assert all(b"Peeters" not in upload.path.read_bytes() for upload in sealed.uploads)
        assert ("caller_name" in start_body(one.take.start)) == bool(name)
        assert parse_start(start_body(one.take.start)) == one.take.start


def test_parties_are_padded(tmp_path: Path, keys: Keys) -> None:
    encoded = make_encoded(tmp_path / "a")
    withheld_start = replace(encoded.take.start, external_party=Party("withheld", ""))
    other = replace(encoded, take=replace(encoded.take, start=withheld_start))
    one = seal(encoded, keys.keyring, keys.tenant_key, keys.signer, NOW)
    two = seal(other, keys.keyring, keys.tenant_key, keys.signer, NOW)
    assert len(one.manifest.parties) == len(two.manifest.parties)


def test_manifest_is_uploaded_last(sealed: SealedTake) -> None:
    base = f"{TENANT}/2026/11/25/{RECORDING}/"
    assert [upload.key for upload in sealed.uploads] == [
        base + "audio.opus",
        base + "audio.wav",
        base + "peaks",
        f"keys/{TENANT}/{RECORDING}.json",
        base + "manifest.json",
    ]
    for upload in sealed.uploads:
        assert hashlib.sha256(upload.path.read_bytes()).hexdigest() == upload.sha256


def test_sealed_audio_is_readable(sealed: SealedTake, keys: Keys) -> None:
    data_key = keys.keyring.open_data_key(keys.tenant_key, sealed.key)
    for name in ("audio.opus", "audio.wav", "peaks"):
        stored = (sealed.folder / f"{name}.enc").read_bytes()
        reader = plaintext.reader(sealed.manifest, name, data_key, lambda start, end, s=stored: s[start:end])  # type: ignore[misc]
        assert b"".join(reader.read()) == (sealed.folder / name).read_bytes()
    with expect_error(SealError, "seal.no_object"):
        plaintext.reader(sealed.manifest, "audio.mp3", data_key, lambda _start, _end: b"")
    foreign = replace(data_key, id="0" * 32)
    with expect_error(SealError, "seal.key_foreign"):
        plaintext.reader(sealed.manifest, "audio.opus", foreign, lambda _start, _end: b"")


def test_repeated_sealing_uses_a_new_key(tmp_path: Path, keys: Keys) -> None:
    first = make_sealed(tmp_path / "take", keys)
    (tmp_path / "take" / "manifest.json").unlink()
    second = make_sealed(tmp_path / "take", keys)
    assert second.manifest.keys.data != first.manifest.keys.data
    volatile = {"objects", "parties", "keys"}
    strip = lambda _sealed: {k: v for k, v in to_body(_sealed.manifest).items() if k not in volatile}  # noqa: E731
    assert strip(first) == strip(second)


def test_unannounced_recording_expires_after_thirty_days(tmp_path: Path, keys: Keys) -> None:
    sealed = make_sealed(tmp_path / "take", keys, announced=None)
    assert sealed.manifest.purposes == ()
    assert sealed.manifest.unannounced == "not_found_in_audio"
    assert sealed.manifest.keep_until == sealed.manifest.ended_at + timedelta(days=30)
    encoded = make_encoded(tmp_path / "other", announced=None)
    unannounced = replace(encoded, take=replace(encoded.take, markers=encoded.take.markers[1:]))
    sealed = seal(unannounced, keys.keyring, keys.tenant_key, keys.signer, NOW)
    assert sealed.manifest.unannounced == "not_finished"


def test_file_changed_after_encoding_is_refused(tmp_path: Path, keys: Keys) -> None:
    encoded = make_encoded(tmp_path / "take")
    (tmp_path / "take" / "audio.opus").write_bytes(b"other")
    with expect_error(SealError, "seal.sound_changed"):
        seal(encoded, keys.keyring, keys.tenant_key, keys.signer, NOW)
    assert not (tmp_path / "take" / "manifest.json").exists()


@pytest.mark.parametrize("missing", ["tenant", "line", "announcement"])
def test_call_without_a_line_is_not_sealed(tmp_path: Path, keys: Keys, missing: str) -> None:
    encoded = make_encoded(tmp_path / "take")
    start = replace(encoded.take.start, **{missing: None})
    encoded = replace(encoded, take=replace(encoded.take, start=start))
    with expect_error(SealError, "seal.no_line"):
        seal(encoded, keys.keyring, keys.tenant_key, keys.signer, NOW)
    assert not (tmp_path / "take" / "manifest.json").exists()


def test_expired_signing_key_is_refused(tmp_path: Path, keys: Keys) -> None:
    late = NOW + timedelta(days=365 * 2 + 1)
    with expect_error(SealError, "seal.endorsement_time"):
        seal(make_encoded(tmp_path / "take"), keys.keyring, keys.tenant_key, keys.signer, late)
    assert not (tmp_path / "take" / "manifest.json").exists()


def test_call_with_a_clock_set_back_is_sealed(tmp_path: Path, keys: Keys) -> None:
    encoded = make_encoded(tmp_path / "take")
    earlier = replace(encoded.take.end, ended_at=START - timedelta(hours=1))
    encoded = replace(encoded, take=replace(encoded.take, end=earlier))
    sealed = seal(encoded, keys.keyring, keys.tenant_key, keys.signer, START - timedelta(hours=1))
    assert sealed.manifest.started_at == sealed.manifest.ended_at == sealed.manifest.sealed_at
    assert sealed.manifest.uncorrected == UncorrectedTimes(START, START - timedelta(hours=1))
    assert open_manifest(sealed.manifest_bytes, keys.root.public_key()) == sealed.manifest


def refusal(content: bytes, keys: Keys) -> str:
    with pytest.raises(SealError) as failure:
        open_manifest(content, keys.root.public_key(), NOW)
    return failure.value.error_id


def resigned(sealed: SealedTake, keys: Keys, change: Change) -> bytes:
    """A manifest whose signature is right and whose body is not."""
    document = json.loads(sealed.manifest_bytes)
    change(document["body"])
    document["signatures"][0]["signature"] = b64(keys.signer.sign(document["body"]))
    return rfc8785.dumps(document)


def altered(sealed: SealedTake, change: Change) -> bytes:
    document = json.loads(sealed.manifest_bytes)
    change(document)
    return rfc8785.dumps(document)


@pytest.mark.parametrize(
    ("change", "error_id"),
    [
        (lambda body: body.update(version=2), "seal.version"),
        (lambda body: body.update(version="1"), "seal.version"),
        (lambda body: body.update(type="accord-amendment"), "seal.field"),
        (lambda body: body.update(software=1), "seal.field"),
        (lambda body: body.pop("software"), "seal.field"),
        (lambda body: body.update(note="new"), "seal.unknown_field"),
        (lambda body: body["objects"][0].update(note="new"), "seal.unknown_field"),
        (lambda body: body["announcement"]["purposes"][0].update(note=1), "seal.unknown_field"),
        (lambda body: body["keys"].update(root="x"), "seal.unknown_field"),
        (lambda body: body.pop("drift_ms"), "seal.field"),
        (lambda body: body.pop("uncorrected"), "seal.field"),
        (lambda body: body.update(uncorrected={"started_at": body["started_at"]}), "seal.field"),
        (
            lambda body: body.update(uncorrected={"started_at": END, "ended_at": END, "x": 1}),
            "seal.unknown_field",
        ),
        (lambda body: body.update(duration_ms=1.5), "seal.field"),
        (lambda body: body.update(duration_ms=True), "seal.field"),
        (lambda body: body.update(duration_ms=-1), "seal.field"),
        (lambda body: body.update(started_at="2026-11-25T10:30:00.123+01:00"), "seal.field"),
        (lambda body: body.update(started_at="2026-11-25"), "seal.field"),
        (
            lambda body: body.update(
                channels={"left": "external_party_hears", "right": "external_party_says"}
            ),
            "seal.field",
        ),
        (lambda body: body["objects"][0].update(plain_sha256="A" * 64), "seal.field"),
        (lambda body: body["gaps"][0].update(channel="middle"), "seal.field"),
        (lambda body: body["markers"][0]["data"].update(value="+3225550177"), "seal.field"),
        (lambda body: body.update(parties="+/+/"), "seal.field"),
        (lambda body: body.update(objects=[]), "seal.contradiction"),
        (lambda body: body["objects"].reverse(), "seal.contradiction"),
        (lambda body: body["objects"][0].update(name="../audio"), "seal.contradiction"),
        (lambda body: body["objects"][0]["blocks"].pop(), "seal.contradiction"),
        (lambda body: body["objects"][0].update(plain_length=1), "seal.contradiction"),
        (lambda body: body.update(announcement=None), "seal.contradiction"),
        (lambda body: body.update(unannounced="x"), "seal.contradiction"),
        (lambda body: body["announcement"].update(end_ms=70_000), "seal.contradiction"),
        (lambda body: body["announcement"]["purposes"][0].update(until=END), "seal.contradiction"),
        (lambda body: body["announcement"]["purposes"][1].update(code="agreement"), "seal.contradiction"),
        (lambda body: body["gaps"][0].update(end_ms=0), "seal.contradiction"),
        (lambda body: body.update(ended_at="2026-11-25T09:00:00.000Z"), "seal.contradiction"),
        (lambda body: body.update(recording="x"), "seal.contradiction"),
        (lambda body: body.update(recording=RECORDING.upper()), "seal.contradiction"),
        (lambda body: body.update(tenant="../x"), "seal.contradiction"),
        (lambda body: body.update(sealed_at="2026-11-25T10:00:00.000Z"), "seal.from_the_future"),
        (lambda body: body.update(sealed_at="2036-11-25T10:00:00.000Z"), "seal.endorsement_time"),
    ],
)
def test_signed_invalid_manifest_is_refused(
    sealed: SealedTake, keys: Keys, change: Change, error_id: str
) -> None:
    assert refusal(resigned(sealed, keys, change), keys) == error_id


END = "2027-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("change", "error_id"),
    [
        (lambda doc: doc["body"].update(number="+3225550199"), "seal.signature"),
        (lambda doc: doc["body"]["announcement"]["purposes"].append({"code": "x"}), "seal.signature"),
        (lambda doc: doc["signatures"][0].update(signature="A" * 86), "seal.signature"),
        (lambda doc: doc["signatures"][0].update(key_id="0" * 32), "seal.signature"),
        (lambda doc: doc["signatures"][0].update(algorithm="none"), "seal.field"),
        (lambda doc: doc.update(signatures=[]), "seal.field"),
        (lambda doc: doc["signatures"].append(doc["signatures"][0]), "seal.field"),
        (lambda doc: doc["signatures"][0].update(note=1), "seal.unknown_field"),
        (lambda doc: doc.update(note=1), "seal.unknown_field"),
        (lambda doc: doc.update(body=[doc["body"]]), "seal.field"),
        (lambda doc: doc.update(signatures={"0": doc["signatures"][0]}), "seal.field"),
        (lambda doc: doc.update(endorsement=[]), "seal.field"),
        (lambda doc: doc.pop("endorsement"), "seal.field"),
        (lambda doc: doc["endorsement"]["body"].update(not_after="2099-01-01T00:00:00.000Z"),
         "seal.endorsement_signature"),
        (lambda doc: doc["endorsement"].update(signature="A" * 86), "seal.endorsement_signature"),
    ],
)  # fmt: skip
def test_manifest_changed_after_signing_is_refused(
    sealed: SealedTake, keys: Keys, change: Change, error_id: str
) -> None:
    assert refusal(altered(sealed, change), keys) == error_id


def test_non_canonical_manifest_is_refused(sealed: SealedTake, keys: Keys) -> None:
    document = json.loads(sealed.manifest_bytes)
    assert refusal(json.dumps(document).encode(), keys) == "seal.not_canonical"
    assert refusal(sealed.manifest_bytes + b"\n", keys) == "seal.not_canonical"
    twice = sealed.manifest_bytes.replace(b'"direction":"inbound"', b'"direction":"x","direction":"inbound"')
    assert refusal(twice, keys) == "seal.duplicate_field"
    assert refusal(b"", keys) == "seal.not_json"
    assert refusal(b"[]", keys) == "seal.not_json"
    assert refusal(b'{"a":NaN}', keys) == "seal.not_json"
    assert refusal(b"\xff\xfe", keys) == "seal.not_json"
    assert refusal(b'{"a":' * 100_000, keys) == "seal.not_json"
    assert refusal(b'{"a":9007199254740993}', keys) == "seal.not_canonical"


def test_key_of_another_root_is_refused(sealed: SealedTake, keys: Keys) -> None:
    """Somebody with the bucket and the key-encryption key, but no endorsed key, signs it all anew."""
    impostor = Ed25519PrivateKey.generate()
    own_root = Ed25519PrivateKey.generate()
    dates = (keys.signer.endorsement.not_before, keys.signer.endorsement.not_after)
    endorsement = signing.endorse(own_root, impostor.public_key(), (signing.MANIFEST,), *dates)
    assert (
        refusal(sign(sealed.manifest, signing.Signer(impostor, endorsement)), keys) == "seal.endorsement_root"
    )
    claimed = replace(endorsement, root_key_id=signing.key_id(keys.root.public_key()))
    forged = sign(sealed.manifest, signing.Signer(impostor, claimed))
    assert refusal(forged, keys) == "seal.endorsement_signature"


def test_key_without_the_manifest_use_is_refused(sealed: SealedTake, keys: Keys) -> None:
    web = Ed25519PrivateKey.generate()
    dates = (keys.signer.endorsement.not_before, keys.signer.endorsement.not_after)
    endorsement = signing.endorse(keys.root, web.public_key(), (signing.AMENDMENT,), *dates)
    assert refusal(sign(sealed.manifest, signing.Signer(web, endorsement)), keys) == "seal.endorsement_use"


def test_signature_of_an_endorsement_is_refused(sealed: SealedTake, keys: Keys) -> None:
    """One kind of signed document is never taken for another."""
    document = json.loads(sealed.manifest_bytes)
    document["body"] = keys.signer.endorsement.body() | {"sealed_at": "2026-11-25T09:35:00.123Z"}
    document["signatures"][0]["signature"] = b64(keys.signer.sign(document["body"]))
    assert refusal(rfc8785.dumps(document), keys) == "seal.field"


def test_blocks_hash_the_stored_files(sealed: SealedTake) -> None:
    for each in sealed.manifest.objects:
        stored = (sealed.folder / f"{each.name}.enc").read_bytes()
        for number in range(len(each.blocks)):
            each.check_block(
                number, stored[number * streaming_aead.SEGMENT : (number + 1) * streaming_aead.SEGMENT]
            )
        with expect_error(SealError, "seal.block"):
            each.check_block(len(each.blocks), b"")


def test_data_key_does_not_suffice_to_replace_audio(sealed: SealedTake, keys: Keys) -> None:
    """Rightly encrypted under the right key and name, and not what was sealed: the blocks say so."""
    data_key = keys.keyring.open_data_key(keys.tenant_key, sealed.key)
    name = streaming_aead.associated_data(RECORDING, "audio.opus")
    other = streaming_aead.encrypt_bytes(bytes(300_000), data_key.key, name)
    reader = plaintext.reader(sealed.manifest, "audio.opus", data_key, lambda start, end: other[start:end])
    with expect_error(SealError, "seal.block"):
        list(reader.read())


def test_key_of_another_tenant_is_refused(tmp_path: Path, keys: Keys) -> None:
    other = keys.keyring.new_tenant_key("0198c0de-0000-7000-8000-00000000000b")
    with expect_error(SealError, "seal.key_foreign"):
        seal(make_encoded(tmp_path / "take"), keys.keyring, other, keys.signer, NOW)


def test_sealed_take_with_another_key_is_refused(sealed: SealedTake, keys: Keys) -> None:
    _, other = keys.keyring.new_data_key(keys.tenant_key, RECORDING)
    (sealed.folder / "key.json").write_bytes(other.to_bytes())
    with expect_error(SealError, "seal.key_foreign"):
        read_sealed(sealed.folder, keys.root.public_key())


@pytest.mark.parametrize("kind", sorted(MARKER_KINDS))
def test_no_kind_of_marker_seals_who_it_was(keys: Keys, tmp_path: Path, kind: str) -> None:
    data = {"party": "number", "value": "+3225550177", "leg": "5c9b", "seen": "later"}
    encoded = make_encoded(tmp_path)
    marker = LocatedMarker(START + timedelta(seconds=10), kind, data, 10_000)
    sealed = make_sealed(tmp_path, keys, markers=(*encoded.markers, marker))
    assert sealed.manifest.markers[-1].data == {"seen": "later"}
    assert b"3225550177" not in sealed.manifest_bytes


def test_markers_name_no_party(keys: Keys, tmp_path: Path) -> None:
    """Who they are is encrypted; that somebody who came was told, and how, is not."""
    encoded = make_encoded(tmp_path)
    party = {"party": "extension", "value": "1002", "leg": "5c9b", "seen": "later"}
    markers = (
        ("bridged", party),
        ("transfer_notice_started", {"how": "alone"}),
        ("unbridged", party),
        ("bridged", {**party, "in": "conference"}),
        ("participant_joined", {**party, "who": "external", "how": "conference"}),
        ("transfer_notice_finished", {"in": "conference", "leg": "5c9b"}),
        ("transfer_question_finished", {"in": "conference", "leg": "5c9b"}),
        ("transfer_question_refused", {"answer": "no", "key": "2", "in": "conference", "leg": "5c9b"}),
        ("participant_left", party),
        ("supervisor_joined", party),
        ("supervisor_heard", {**party, "heard_by": "both", "channel": "left"}),
        ("supervisor_left", party),
    )
    more = tuple(
        LocatedMarker(START + timedelta(seconds=number), kind, data, 1000 * number)
        for number, (kind, data) in enumerate(markers, 10)
    )
    take = make_sealed(tmp_path, keys, markers=(*encoded.markers, *more))
    markers = take.manifest.markers[-12:]
    assert [(marker.kind, dict(marker.data)) for marker in markers] == [
        ("bridged", {"seen": "later"}),
        ("transfer_notice_started", {"how": "alone"}),
        ("unbridged", {"seen": "later"}),
        ("bridged", {"seen": "later", "in": "conference"}),
        ("participant_joined", {"seen": "later", "who": "external", "how": "conference"}),
        ("transfer_notice_finished", {"in": "conference"}),
        ("transfer_question_finished", {"in": "conference"}),
        ("transfer_question_refused", {"answer": "no", "key": "2", "in": "conference"}),
        ("participant_left", {"seen": "later"}),
        ("supervisor_joined", {"seen": "later"}),
        ("supervisor_heard", {"seen": "later", "heard_by": "both", "channel": "left"}),
        ("supervisor_left", {"seen": "later"}),
    ]
