"""Every kind of signed document is read in its one form: a field twice, or a space too many, is refused."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder import seal
from recorder.errors import SealError
from recorder.lifecycle import erasure_receipt
from recorder.seal.command import SignedCommand
from recorder.seal.disclosure import Disclosure
from recorder.seal.keyring import WrappedKey
from recorder.seal.revocation import Trust
from tests.golden.receipts import make_receipts
from tests.golden.surfaces import ID, signed
from tests.unit.seal.recording import NOW, RECORDING, TENANT

Reader = Callable[[bytes, Ed25519PublicKey], object]


def _wrapped_key(content: bytes, _root: Ed25519PublicKey) -> object:
    return WrappedKey.from_bytes(content)


def _credential(content: bytes, root: Ed25519PublicKey) -> object:
    return seal.credential.read(content.decode(), root)


def _command(content: bytes, root: Ed25519PublicKey) -> None:
    seal.command.check(
        content.decode(), SignedCommand(TENANT, ID, RECORDING, "pause", "panel", ID, NOW), root, {}
    )


def _disclosure(content: bytes, root: Ed25519PublicKey) -> None:
    seal.disclosure.check(content.decode(), Disclosure(TENANT, ID, RECORDING, "own", ID), Trust(root))


READERS: dict[str, Reader] = {
    "tenant key|keys/.*json": _wrapped_key,
    ".*/manifest.json": seal.sealing.open_manifest,
    "amendment .*": seal.amendment.open_amendment,
    "credential": _credential,
    "command": _command,
    "disclosure": _disclosure,
    "retention": seal.retention_limit.open_set,
    "retention lifted": seal.retention_limit.open_lifted,
    "offboarding/.*": seal.offboarding.read,
    "call-erasures/.*": seal.call_erasure.read,
    "revocation": seal.revocation.read,
    "of an erasure": erasure_receipt.read,
    "of an offboarding": seal.offboarding.read_receipt,
}
"""By the names of the documents that it reads."""


def documents() -> dict[str, tuple[str, Ed25519PublicKey]]:
    return {
        name: (text, each.root) for each in (signed(), make_receipts()) for name, text in each.texts.items()
    }


def refusal(read: Reader, content: str, root: Ed25519PublicKey) -> str:
    with pytest.raises(SealError) as failure:
        read(content.encode(), root)
    return failure.value.error_id


@pytest.mark.parametrize("kind", READERS)
def test_a_document_is_read_in_its_one_form(kind: str) -> None:
    mine = {name: each for name, each in documents().items() if re.fullmatch(kind, name)}
    assert mine
    for text, root in mine.values():
        read = READERS[kind]
        read(text.encode(), root)
        begins = '{"body":{' if text.startswith('{"body":{') else "{"
        type_field = re.search('"type":"[a-z-]+",', text.partition("endorsement")[0])
        assert type_field is not None
        for field in ('"type":"another",', type_field[0]):
            twice = text.replace(begins, begins + field, 1)
            assert refusal(read, twice, root) == "seal.duplicate_field"
        for spaced in (
            f"{text}\n",
            f" {text}",
            text.replace(":", ": ", 1),
            text.replace(",", ", ", 1),
            f"{text[:-1]} }}",
        ):
            assert refusal(read, spaced, root) == "seal.not_canonical"
