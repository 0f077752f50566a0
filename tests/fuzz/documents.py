"""Genuine documents, made once and the same in every run, and ways of changing them that keep their shape."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.audio.encoded_take import EncodedSound
from recorder.seal import canonical_json, signing
from recorder.seal.keyring import Keyring, WrappedKey, data_key_path, load_kek, tenant_key_path
from recorder.seal.sealing import SealedTake, seal
from recorder.spool.layout import Take
from recorder.strict_json import b64
from tests.fuzz.choices import Choices
from tests.scratch import scratch_folder
from tests.unit.seal.recording import NOW, START, make_encoded


def repeatable_entropy(seed: str):
    """Reproducible bytes."""
    count = 0

    def give(length: int) -> bytes:
        nonlocal count
        out = b""
        while len(out) < length:
            count += 1
            out += hashlib.sha256(f"{seed}/{count}".encode()).digest()
        return out[:length]

    return give


def scratch() -> Path:
    """A temporary folder of this process, in memory if possible."""
    memory = Path("/dev/shm")
    return scratch_folder("fuzz", memory if os.access(memory, os.W_OK) else None)


@dataclass
class World:
    """Two tenants and three recordings, sealed by the real code, and an attacker's means: another root, a key
    endorsed for something else, an expired endorsement."""

    folder: Path
    root: Ed25519PrivateKey
    keyring: Keyring
    sealed: list[SealedTake]
    objects: dict[str, bytes]
    documents: dict[str, bytes]


@cache
def world() -> World:
    folder = scratch()
    entropy = repeatable_entropy("world")
    keys = folder / "keys"
    signing.init(keys, START - timedelta(days=1), entropy)
    root = signing.load_private(keys / signing.ROOT_KEY)
    signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
    keyring = Keyring(load_kek(keys / signing.KEK))
    sealed, objects, tenants = [], {}, {}
    for number, tenant in enumerate((0xA, 0xA, 0xB)):
        name = f"0198c0de-0000-7000-8000-0000000000{tenant:02x}"
        if name not in tenants:
            tenants[name] = keyring.new_tenant_key(name, entropy)
            objects[tenant_key_path(name)] = tenants[name].to_bytes()
        sealed_recording = seal(
            _encoded(folder / str(number), number, name), keyring, tenants[name], signer, NOW, entropy
        )
        sealed.append(sealed_recording)
        objects |= {upload.key: upload.path.read_bytes() for upload in sealed_recording.uploads}
    documents = {key: content for key, content in objects.items() if key.endswith(".json")}
    documents["endorsement"] = (keys / signing.ENDORSEMENT).read_bytes()
    stranger = Ed25519PrivateKey.from_private_bytes(entropy(32))
    other = Ed25519PrivateKey.from_private_bytes(entropy(32))
    for name, by, uses, days in (
        ("stranger", stranger, ("manifest",), 400),
        ("amendments", root, ("amendment", "checkpoint"), 400),
        ("over", root, ("manifest",), 0),
    ):
        until = START + timedelta(days=days)
        document = signing.endorse(by, other.public_key(), uses, START - timedelta(days=2), until).document()
        documents[name] = canonical_json.dump(document)
        body = json.loads(sealed[0].manifest_bytes)["body"]
        forger = signing.Signer(other, signing.Endorsement.read(document, name))
        signature = {
            "algorithm": "Ed25519", "key_id": forger.key_id, "signature":
            b64(forger.sign(body))
        }  # fmt: skip
        documents[f"signed by {name}"] = canonical_json.dump(
            {"body": body, "endorsement": document, "signatures": [signature]}
        )
    return World(folder, root, keyring, sealed, objects, documents)


def _encoded(folder: Path, number: int, tenant: str) -> Any:
    encoded = make_encoded(folder)
    recording = f"0198c0de-0000-7000-8000-00000000000{number + 1}"
    sounds = []
    for name, kind, length in (("audio.opus", "audio/ogg", 900), ("peaks", "application/json", 70_000)):
        content = repeatable_entropy(f"{recording}/{name}")(length)
        (folder / name).write_bytes(content)
        sounds.append(EncodedSound(name, folder / name, kind, hashlib.sha256(content).hexdigest(), length))
    from dataclasses import replace

    start = replace(encoded.take.start, recording=recording, tenant=tenant)
    take = Take(folder, start, encoded.take.markers, encoded.take.end)
    return replace(encoded, take=take, sounds=tuple(sounds))


def wrapped_keys() -> dict[str, WrappedKey]:
    """The world's documents by place."""
    documents = world()
    places = [tenant_key_path(each.manifest.tenant) for each in documents.sealed]
    places += [data_key_path(each.manifest.tenant, each.recording) for each in documents.sealed]
    return {place: WrappedKey.from_bytes(documents.objects[place]) for place in places}


ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**15, 2**53, -(2**53) - 1, 10**40, float("nan"), float("inf"), -0.0,
    1e-320, "",
    "0", "\x00", "\ud800", "é", "e\u0301", "../../etc", "0001-01-01T00:00:00.000+14:00",
    "2026-11-25T09:30:00.123Z",
    "9999-12-31T23:59:59.999-14:00", "2026-11-25T09:30:00.123", "2026-W01-1T00:00Z",
    "9999-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00.000Z", [], {}, [[]], {"": {}}, "A" * 64, "f" * 64, "=", "AA==", "_-_-", "NaN",
    "tenant",
    "recording", "accord-endorsement", "accord-manifest", "manifest", ["manifest"], 1, 2, "1", "Ed25519",
)  # fmt: skip


def mutate_document(document: Any, choices: Choices, others: list[Any]) -> Any:
    """A document with one value replaced, taken from another document, removed, or doubled."""
    path, here = [], document
    while isinstance(here, (dict, list)) and here and not choices.once_in(5):
        key = choices.pick(sorted(here)) if isinstance(here, dict) else choices.below(len(here))
        path.append(key)
        here = here[key]
    return _at(document, path, lambda value: _odd_value(value, choices, others, path))


def _odd_value(value: Any, choices: Choices, others: list[Any], path: list[Any]) -> Any:
    match choices.below(8):
        case 0:
            other = choices.pick(others)
            for key in path:
                try:
                    other = other[key]
                except (KeyError, IndexError, TypeError):
                    break
            return other
        case 1 if isinstance(value, dict):
            return {**value, choices.text(8): choices.pick(ODD_VALUES)}
        case 2 if isinstance(value, list):
            return [*value, *value[:1]]
        case 3 if isinstance(value, dict) and value:
            removed = choices.pick(sorted(value))
            return {key: each for key, each in value.items() if key != removed}
        case 4 if isinstance(value, str) and value:
            at = choices.below(len(value))
            return value[:at] + choices.text(3) + value[at + 1 :]
        case 5 if isinstance(value, int):
            return value + choices.pick((1, -1, 2**31, 0.5, 1e300))
        case 6 if isinstance(value, str):
            return choices.pick((value.upper(), value + " ", f" {value}", value[:-1], value + "\x00"))
        case _:
            return choices.pick(ODD_VALUES)


def _at(document: Any, path: list[Any], change: Any) -> Any:
    if not path:
        return change(document)
    first, *rest = path
    if isinstance(document, dict):
        return {key: _at(each, rest, change) if key == first else each for key, each in document.items()}
    return [_at(each, rest, change) if at == first else each for at, each in enumerate(document)]


def serialize(document: Any, choices: Choices) -> bytes:
    """The document's bytes: in canonical form, or as some other program would have written it."""
    way = choices.below(8)
    try:
        if way < 4:
            return rfc8785.dumps(document)
        text = json.dumps(
            document,
            ensure_ascii=bool(way & 1),
            indent=None if way < 6 else 1,
            separators=(",", ":") if way < 7 else None,
            sort_keys=way != 5,
        )
    except (ValueError, RecursionError):
        text = json.dumps(document)
    return mutate_bytes(text.encode("utf-8", "surrogatepass"), choices)


def mutate_bytes(content: bytes, choices: Choices) -> bytes:
    """Bytes mutated without regard to their meaning."""
    for _ in range(choices.below(4)):
        at = choices.below(len(content) + 1)
        match choices.below(7):
            case 0 if content:
                at %= len(content)
                content = content[:at] + bytes([content[at] ^ (1 << choices.below(8))]) + content[at + 1 :]
            case 1:
                content = content[:at] + choices.blob(8) + content[at:]
            case 2:
                content = content[:at] + content[at + 1 + choices.below(8) :]
            case 3:
                old, new = choices.pick(SPELLINGS)
                content = content.replace(old, new, 1 + choices.below(3))
            case 4:
                content = content[:at]
            case 5:
                depth = choices.pick((3, 90, 400, 480, 495, 900, 990, 3000))
                start, end = choices.pick(((b"[", b"]"), (b'{"a":', b"}")))
                bomb = start * depth + (b"1" if start != b"[" else b"") + end * depth
                content = content[:at] + bomb + content[at:] if choices.below(2) else _field(content, bomb)
            case _:
                content = content + choices.pick((b"\n", b" ", b"\x00", b"{}", b"\xef\xbb\xbf", content))
    return content


def _field(content: bytes, bomb: bytes) -> bytes:
    """The bomb as the value of the last field."""
    head, colon, _ = content.rpartition(b":")
    return head + colon + bomb + b"}" * max(1, head.count(b"{") - head.count(b"}"))


SPELLINGS = (
    (b":1", b":1.0"), (b":1", b":1e0"), (b":0", b":-0"), (b'"a', b'"\\u0061'), (b",", b", "), (b"true", b"1"),
    (b'"type"', b'"type":"x","type"'), (b'"version":1', b'"version":1,"version":1'), (b"null", b"NaN"),
    (b"}", b",}"),
    (b"{", b'{"":0,'), (b'":', b'":\xff'), (b"0", b"\xd9\xa0"), (b":", b":" + b"9" * 5000 + b","), (b'"',
    b"'"),
)  # fmt: skip
