"""Wrapped keys, endorsements, key files and canonical JSON: read as written, or refused with the declared
error; a key opens only for its own purpose."""

from __future__ import annotations

import json
from dataclasses import replace

import rfc8785

from recorder.errors import ConfigError, SealError
from recorder.seal import canonical_json, signing
from recorder.seal.keyring import WrappedKey, parse_kek
from tests.fuzz.choices import Choices
from tests.fuzz.documents import ODD_VALUES, mutate_document, serialize, world, wrapped_keys
from tests.unit.seal.recording import NOW

INSTRUMENT = ("recorder.seal", "rfc8785")
LONGEST = 300


def check(data: bytes) -> None:
    choices = Choices(data)
    choices.pick((any_json, check_wrapped_key, wrapped_values, endorsement, a_kek))(choices)


def any_json(choices: Choices) -> None:
    content = choices.rest()
    try:
        body = canonical_json.load(content, "document")
    except SealError as error:
        assert error.error_id in ("seal.not_json", "seal.duplicate_field", "seal.not_canonical")
        return
    assert json.loads(content) == body
    assert rfc8785.dumps(body) == content
    assert canonical_json.dump(body) == content


def check_wrapped_key(choices: Choices) -> None:
    """Change a wrapped key's document."""
    genuine = wrapped_keys()
    parsed = [json.loads(each.to_bytes()) for each in genuine.values()]
    document = mutate_document(choices.pick(parsed), choices, parsed)
    content = serialize(document, choices)
    try:
        read = WrappedKey.from_bytes(content)
    except SealError as error:
        str(error)
        return
    assert read.to_bytes() == content
    opens(choices, read)


def wrapped_values(choices: Choices) -> None:
    """Change its values, mixed with those of others."""
    read = choices.pick(list(wrapped_keys().values()))
    others = list(wrapped_keys().values())
    for name in ("kind", "tenant", "recording", "key_id", "wrapped_by", "nonce", "wrapped"):
        if choices.below(3) == 2:
            read = replace(read, **{name: getattr(choices.pick(others), name)})
    try:
        read = WrappedKey.from_bytes(read.to_bytes())
    except SealError as error:
        assert error.error_id == "seal.field"
        return
    opens(choices, read)


def opens(choices: Choices, read: WrappedKey) -> None:
    documents = world()
    genuine = wrapped_keys()
    for tenant_key in list(genuine.values())[:3]:
        for open_it in (
            lambda read=read: documents.keyring.open_tenant_key(read),
            lambda read=read, by=tenant_key: documents.keyring.open_data_key(by, read),
        ):
            try:
                opened = open_it()
            except SealError as error:
                str(error)
                continue
            assert read in genuine.values(), "a key opened that was wrapped for something else"
            assert opened.id == read.key_id
            assert opened.key.hex() not in repr(opened)


def endorsement(choices: Choices) -> None:
    documents = world()
    names = ("endorsement", "stranger", "amendments", "over")
    parsed = [json.loads(documents.documents[name]) for name in names]
    document = choices.pick(parsed)
    for _ in range(choices.below(3)):
        document = mutate_document(document, choices, parsed)
    content = serialize(document, choices)
    path = documents.folder / "an-endorsement.json"
    path.write_bytes(content)
    try:
        read = signing.load_endorsement(path)
    except ConfigError as error:
        assert error.error_id == "keys.bad_endorsement"
        return
    assert canonical_json.dump(read.document()) == content
    try:
        read.check(documents.root.public_key(), signing.MANIFEST, NOW)
    except SealError as error:
        assert error.error_id.startswith("seal.endorsement_")
        return
    assert content == documents.documents["endorsement"], (
        "an endorsement was believed that the root did not sign"
    )


def a_kek(choices: Choices) -> None:
    text = choices.rest().decode("utf-8", "replace")
    try:
        key = parse_kek(text, "the test")
    except ConfigError as error:
        assert error.error_id == "keys.bad_kek"
        assert text.strip() not in str(error) or len(text.strip()) < 12
    else:
        assert len(key.key) == 32
    for value in ODD_VALUES:
        try:
            canonical_json.read_time(value, "a")
        except SealError as error:
            assert error.error_id == "seal.field"


SEEDS = (
    b'\x00{"a":1}', b'\x00{"a":1,"a":1}', b'\x00{"b":1,"a":1.0}', b'\x00{"a":1e400}', b'\x00{"a":"\\ud800"}',
    b"\x00[1]", b'\x00{"a":NaN}', b'\x00{"\xc3\xa9":"e\xcc\x81"}', b'\x00{"a":9007199254740993}',
    *(bytes([1 + n % 3, n % 6, n, n * 5 % 256, n * 11 % 256, n % 8, n, 3]) for n in range(30)),
    b"\x04QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
)  # fmt: skip
