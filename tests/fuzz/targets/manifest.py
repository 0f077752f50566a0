"""A manifest that differs from the signed one is refused, whatever was changed in it, in its keys, in its
objects or in its place; every refusal is a declared error."""

from __future__ import annotations

import json

from recorder.errors import SealError
from recorder.seal.sealing import open_manifest
from recorder.seal.verification import verify
from tests.fuzz.choices import Choices
from tests.fuzz.documents import mutate_bytes, mutate_document, serialize, world
from tests.unit.seal.recording import NOW, Bucket

INSTRUMENT = ("recorder.seal", "rfc8785")
LONGEST = 120


def check(data: bytes) -> None:
    choices = Choices(data)
    if choices.below(4) == 3:
        a_bucket(choices)
    else:
        a_document(choices)


def a_document(choices: Choices) -> None:
    documents = world()
    genuine = {each.manifest_bytes for each in documents.sealed}
    names = sorted(documents.documents)
    parsed = [json.loads(documents.documents[name]) for name in names]
    document = json.loads(choices.pick(documents.sealed).manifest_bytes)
    if choices.below(8) == 7:
        content = mutate_bytes(documents.documents[choices.pick(names)], choices)
    else:
        for _ in range(choices.below(4)):
            if isinstance(document, dict) and choices.below(4) == 3:
                part = choices.pick(("body", "endorsement", "signatures"))
                other = choices.pick(parsed)
                document = {**document, part: other.get(part, other)}
            else:
                document = mutate_document(document, choices, parsed)
        content = serialize(document, choices)
    try:
        manifest = open_manifest(content, documents.root.public_key(), NOW)
    except SealError as error:
        assert error.error_id.startswith("seal.")
        str(error)
        return
    assert content in genuine, "a manifest was believed that nobody signed"
    assert any(manifest == each.manifest for each in documents.sealed)


def a_bucket(choices: Choices) -> None:
    """Change, swap, add or remove one of the bucket's objects: a report without findings means that the
    recording is as sealed."""
    documents = world()
    bucket = Bucket(dict(documents.objects))
    keys = sorted(bucket.objects)
    for _ in range(choices.below(3)):
        key, other = choices.pick(keys), choices.pick(keys)
        match choices.below(6):
            case 0 if key in bucket.objects:
                bucket.objects[key] = mutate_bytes(bucket.objects[key], choices)
            case 1:
                bucket.objects[key] = documents.objects[other]
            case 2:
                bucket.objects[key], bucket.objects[other] = documents.objects[other], documents.objects[key]
            case 3:
                bucket.objects.pop(key, None)
            case 4:
                bucket.objects[key.rpartition("/")[0] + "/" + choices.pick(("x", "Audio.opus"))] = b"x"
            case _ if key in documents.documents:
                others = [json.loads(content) for content in documents.documents.values()]
                document = mutate_document(json.loads(documents.objects[key]), choices, others)
                bucket.objects[key] = serialize(document, choices)
    sealed = choices.pick(documents.sealed)
    for keyring in (None, documents.keyring):
        report = verify(bucket, sealed.prefix, documents.root.public_key(), keyring, NOW)
        if not report.ok:
            continue
        mine = [key for key in documents.objects if key.startswith(sealed.prefix)]
        if keyring is not None:
            mine += [f"keys/{sealed.manifest.tenant}/{name}.json" for name in ("tenant", sealed.recording)]
        for key in mine:
            assert bucket.objects.get(key) == documents.objects[key], (
                f"{key} was changed and nothing was found"
            )
        assert {key for key in bucket.objects if key.startswith(sealed.prefix)} <= set(documents.objects)
        assert report.manifest == sealed.manifest


SEEDS = (b"", b"\x03", *(bytes([n % 4, n % 3, 0, 1 + n % 3, n, n * 7 % 256, n * 3, 5, n]) for n in range(40)))
