"""docs/reference/formats.md is enough: a reader written from that page alone, with none of our code,
reads and checks what we write."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from recorder.seal import manifest, verification

from .recording import (
    CONFIRMATION,
    QUESTION_END,
    RECORDING,
    TENANT,
    YES,
    Bucket,
    Keys,
    make_with_question,
    question,
    seal_with_question,
)

PAGE = (Path(manifest.__file__).parents[2] / "docs" / "reference" / "formats.md").read_text("utf-8")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def decrypt(stored: bytes, data_key: bytes, name: str) -> bytes:
    assert stored[0] == 0x28
    salt, prefix = stored[1:33], stored[33:40]
    key = HKDF(SHA256(), 32, salt, f"accord/1/{RECORDING}/{name}".encode()).derive(data_key)
    segments = [stored[at : at + 65536] for at in range(0, len(stored), 65536)]
    segments[0] = segments[0][40:]
    out = b""
    for number, segment in enumerate(segments):
        last = b"\1" if number == len(segments) - 1 else b"\0"
        out += AESGCM(key).decrypt(prefix + number.to_bytes(4, "big") + last, segment, None)
    return out


def unwrap(document: dict[str, Any], key: bytes, purpose: str) -> bytes:
    assert document["wrapped_by"] == hashlib.sha256(b"accord/1/key-id/" + key).hexdigest()[:32]
    inner = AESGCM(key).decrypt(unb64(document["nonce"]), unb64(document["wrapped"]), purpose.encode())
    assert document["key_id"] == hashlib.sha256(b"accord/1/key-id/" + inner).hexdigest()[:32]
    return inner


def test_reader_written_from_the_page_reads_a_recording(bucket: Bucket, keys: Keys) -> None:
    prefix = f"{TENANT}/2026/11/25/{RECORDING}/"
    content = bucket.objects[prefix + "manifest.json"]
    document = json.loads(content)
    assert rfc8785.dumps(document) == content

    root: Any = load_pem_public_key((keys.folder / "root.pub").read_bytes())
    endorsement = document["endorsement"]
    root.verify(unb64(endorsement["signature"]), rfc8785.dumps(endorsement["body"]))
    public = unb64(endorsement["body"]["public_key"])
    assert endorsement["body"]["key_id"] == hashlib.sha256(public).hexdigest()[:32]
    assert (
        endorsement["body"]["not_before"] < document["body"]["sealed_at"] < endorsement["body"]["not_after"]
    )
    (signature,) = document["signatures"]
    Ed25519PublicKey.from_public_bytes(public).verify(
        unb64(signature["signature"]), rfc8785.dumps(document["body"])
    )

    kek = base64.b64decode((keys.folder / "kek").read_text())
    tenant_key = unwrap(
        json.loads(bucket.objects[f"keys/{TENANT}/tenant.json"]), kek, f"accord/1/tenant/{TENANT}"
    )
    data_key = unwrap(
        json.loads(bucket.objects[f"keys/{TENANT}/{RECORDING}.json"]),
        tenant_key,
        f"accord/1/recording/{TENANT}/{RECORDING}",
    )
    for each in document["body"]["objects"]:
        stored = bucket.objects[prefix + each["name"]]
        assert hashlib.sha256(stored).hexdigest() == each["stored_sha256"]
        assert [
            hashlib.sha256(stored[at : at + 65536]).hexdigest() for at in range(0, len(stored), 65536)
        ] == each["blocks"]
        plain = decrypt(stored, data_key, each["name"])
        assert hashlib.sha256(plain).hexdigest() == each["plain_sha256"]
        assert each["stored_length"] == len(plain) + 40 + 16 * len(each["blocks"])
    parties = json.loads(decrypt(unb64(document["body"]["parties"]), data_key, "parties"))
    assert parties["external_party"] == {"kind": "e164", "value": "+32470123456"}


def test_every_field_and_code_is_on_the_page(keys: Keys, tmp_path: Path) -> None:
    sealed = seal_with_question(
        keys, make_with_question(tmp_path / "asked", question(), QUESTION_END, YES, CONFIRMATION)
    )
    document = json.loads(sealed.manifest_bytes)

    def names(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*(names(inner) for inner in value.values()))
        return set().union(*(names(inner) for inner in value)) if isinstance(value, list) else set()

    documented = set(re.findall(r"[`\"]([a-z0-9_]+)[`\"]", PAGE))
    assert names(document) - {"cause"} <= documented
    assert verification.__doc__ is not None
    codes = set(re.findall(r"``([a-z]+\.[a-z_]+)``", verification.__doc__))
    assert len(codes) > 15
    assert codes <= set(re.findall(r"`([a-z]+\.[a-z_]+)`", PAGE))
