"""Checkpoints (C2SP signed notes), changed and invented: each is refused, or read as written, and accepted
only if the key signed it."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog import signed_note
from recorder.auditlog.signed_note import Head
from recorder.errors import AuditLogError
from recorder.seal import signing
from tests.fuzz.choices import Choices
from tests.fuzz.documents import mutate_bytes, world
from tests.unit.seal.recording import NOW

INSTRUMENT = ("recorder.auditlog.signed_note", "recorder.clock")
LONGEST = 400


@cache
def genuine_notes() -> tuple[tuple[bytes, ...], Ed25519PublicKey]:
    """Checkpoints of two logs, each following the one before, and the key that signed them."""
    keys = world().folder / "keys"
    signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
    notes: list[bytes] = []
    for tenant in ("0198c0de-0000-7000-8000-00000000000a", "0198c0de-0000-7000-8000-00000000000b"):
        before = None
        for number in (1, 2):
            root = bytes(range(number, number + 32))
            head = Head("0" * 32, tenant, 1, 7 * number, root, number, NOW, signer.key_id, before)
            notes.append(signed_note.sign(head, signer).encode())
            before = signed_note.fingerprint(notes[-1].decode())
    return tuple(notes), Ed25519PublicKey.from_public_bytes(signer.endorsement.public_key)


def check(data: bytes) -> None:
    choices = Choices(data)
    notes, public = genuine_notes()
    content = choices.pick(notes)
    match choices.below(5):
        case 0:
            content = mutate_bytes(content, choices)
        case 1:
            lines, others = content.split(b"\n"), choices.pick(notes).split(b"\n")
            for _ in range(1 + choices.below(3)):
                at = choices.below(len(lines))
                word = choices.text(20).encode("utf-8", "surrogatepass")
                lines[at] = choices.pick(
                    (others[at % len(others)], word, b"", lines[at] + word, lines[at][:-1])
                )
            content = b"\n".join(lines)
        case 2:
            text, _, signatures = content.partition(b"\n\n")
            other = choices.pick(notes).partition(b"\n\n")[2]
            more = signatures + b"\xe2\x80\x94 x AAAA\n"
            content = text + b"\n\n" + choices.pick((signatures * 2, more, other, choices.blob(60)))
        case 3:
            content = choices.rest()
    try:
        read = signed_note.read(content)
    except AuditLogError as error:
        assert error.error_id == "checkpoint.form"
        assert content not in notes, "a checkpoint of ours is refused"
        return
    text = read.head.text().encode()
    assert content.startswith(text + b"\n"), "read as something else than is written"
    if read.signed_by(public):
        assert any(each.startswith(text + b"\n") for each in notes), "believed what nobody signed"


SEEDS = (
    b"\x00\x04",
    *(bytes([n % 4, n % 5, n, n * 7 % 256, n * 3 % 256, n % 5, 5, n, n]) for n in range(60)),
)
