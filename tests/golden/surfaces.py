"""What other programs and people rely on, each as one text; a change of it shows as a change of a file here.

    python -m tests.golden.surfaces     writes the files anew

A golden file changes only together with what CHANGELOG.md says of it.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.auditlog import object_kinds, signed_note
from recorder.auditlog.signed_note import Head
from recorder.clock import Uptime
from recorder.domain.parties import Party
from recorder.seal import (
    amendment,
    amendment_kinds,
    call_erasure,
    command,
    credential,
    disclosure,
    dispute_kinds,
    dispute_statement,
    download_permission,
    invitation,
    offboarding,
    own_call,
    pack_statement,
    retention_limit,
    revocation,
    second_factor,
    signing,
)
from recorder.seal.amendment import Amendment, By
from recorder.seal.branding import KIND as BRANDING
from recorder.seal.branding import Branding
from recorder.seal.command import SignedCommand
from recorder.seal.credential import Credential
from recorder.seal.disclosure import Disclosure
from recorder.seal.dispute_kinds import (
    AmendedRecording,
    DisputeClosed,
    DisputeData,
    DisputeOpened,
    ErasureOrdered,
    GuestAgreed,
    GuestAnswered,
    GuestEnded,
    GuestEntered,
    GuestInvited,
    GuestVerified,
    GuestVouched,
    HeldRecording,
    OrderConfirmed,
    OutcomeConfirmed,
    OutcomeRecorded,
    OutcomeRetracted,
    OutcomeWritten,
    PassageConfirmed,
    PassageLeftOpen,
    PassageMarked,
    PassageWorded,
    Rescheduled,
    TimeChosen,
)
from recorder.seal.dispute_statement import DisputeStatement
from recorder.seal.download_permission import DownloadPermission
from recorder.seal.invitation import Invitation
from recorder.seal.keyring import Keyring, load_kek
from recorder.seal.offboarding import HandedOver, StatementBody
from recorder.seal.own_call import OwnCallCode
from recorder.seal.pack_statement import PackFile, PackSound, PackStatement
from recorder.seal.retention_limit import LimitLifted, LimitSet
from recorder.seal.sealing import seal
from recorder.seal.second_factor import AuthenticatorApp, Passkey, SecondFactors
from recorder.store.directory import DirectoryStore
from tests.entropy import RepeatableEntropy
from tests.golden import api, command_line, errors, events, json_shapes, leaves, receipts, switch
from tests.golden.errors import RaisedError
from tests.unit.seal.recording import (
    CONFIRMATION,
    NOW,
    QUESTION_END,
    RECORDING,
    START,
    TENANT,
    YES,
    make_with_question,
    question,
)

ID = "0198c0de-0000-7000-8000-0000000000cc"
BY = By("user", ID)
AMENDMENTS: tuple[amendment_kinds.Data, ...] = (
    amendment_kinds.Erased(
        "expired", "0" * 32, (amendment_kinds.ErasedObject("audio.opus", "0" * 64, 1000),), ("manifest.json",)
    ),
    amendment_kinds.HoldSet(("agreement",), ID, "They are still talking.", NOW),
    amendment_kinds.HoldLifted(1, "They agree."),
    amendment_kinds.ConsentWithdrawn(("quality",), "By telephone."),
    amendment_kinds.ConsentAdded("training", NOW + timedelta(days=300), "BE", "By letter.", NOW.date()),
    amendment_kinds.PurposesNarrowed(("quality",), "Not needed."),
    amendment_kinds.DeletionRequested("The caller wrote."),
    amendment_kinds.OutcomeAdded(
        "d1",
        "0" * 64,
        (
            amendment_kinds.OutcomeConfirmation(ID, "customer", "account", NOW),
            amendment_kinds.OutcomeConfirmation("g1", "external_party", "code", NOW),
        ),
        b"encrypted",
    ),
    amendment_kinds.ErasureDeferred("d1", NOW + timedelta(days=40), ("agreement",)),
    amendment_kinds.DeferralEnded(1, "ordered", (ID, "g1")),
)

STATEMENTS: tuple[DisputeData, ...] = (
    DisputeOpened((HeldRecording("r1", 1),), "The price", NOW.date(), ("agreement",)),
    Rescheduled(NOW.date()),
    GuestInvited(
        "g1", "external_party", "Jan", "nl", (NOW,), NOW, "0" * 64, None, "+32470123456", "jan@x.be"
    ),
    GuestInvited("g2", "neutral", "Nora", "fr", (), NOW, "1" * 64, ("p1",), code_hash="salted"),
    GuestInvited("g3", "support", "Support", "fr", (), NOW, passages=("p1",)),
    GuestAnswered("g1", "accepted", "0" * 64, "nl", NOW),
    GuestVouched("g1", "I know his voice"),
    GuestVerified("g1", "people"),
    GuestAgreed("g2", "accepted", ("p1",)),
    GuestEntered("g3", "Sam", "They asked"),
    GuestEnded("g2", "left"),
    PassageMarked("p1", "r1", 0, 1000, "The price is 12 euros"),
    PassageWorded("p1", "The price is 13 euros"),
    PassageConfirmed("p1", "0" * 64),
    PassageLeftOpen("p1"),
    OutcomeWritten("anew", "The bread costs 12.50.", "0" * 64, 365),
    OutcomeConfirmed("0" * 64),
    OutcomeRetracted(),
    OutcomeRecorded((AmendedRecording("r1", 2),), "0" * 64),
    ErasureOrdered("Data protection authority", "DOS-2026-00123"),
    OrderConfirmed(24),
    DisputeClosed("settled"),
    TimeChosen("g1", NOW),
    OutcomeConfirmed("0" * 64, "telephone", "s1"),
)

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@dataclass(frozen=True)
class Signed:
    """Documents by their names, and the root's public key."""

    texts: dict[str, str]
    root: Ed25519PublicKey


@cache
def _sources() -> dict[str, ast.Module]:
    """The modules of the code, by their dotted names."""
    paths = [path for folder in ("recorder", "web", "demo") for path in sorted((ROOT / folder).rglob("*.py"))]
    return {_dotted(path): ast.parse(path.read_text("utf-8")) for path in paths}


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def logged_levels() -> dict[str, list[str]]:
    """The levels at which each event is logged."""
    found = sorted({each for tree in _sources().values() for each in events.logged(tree)})
    return {name: [level for _, level in pairs] for name, pairs in groupby(found, itemgetter(0))}


@cache
def raised_errors() -> dict[str, RaisedError]:
    """Every error that the code can raise, by its id."""
    return errors.raised(_sources())


def bucket() -> str:
    """Every kind of object in the bucket, by the pattern of its key."""
    return "\n".join(f"{kind.listed}  {kind.pattern}" for kind in object_kinds.KINDS) + "\n"


def documents() -> str:
    """Every kind of signed document, byte for byte, made of known keys and values."""
    return "".join(f"== {kind}\n{text}\n\n" for kind, text in signed().texts.items())


@cache
def signed() -> Signed:
    """Every kind of signed document by its name, and the root whose key they are read with."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = _documents(folder)
        return Signed(texts, signing.load_public(folder / "keys" / signing.ROOT_PUBLIC))


def _documents(folder: Path) -> dict[str, str]:
    entropy = RepeatableEntropy("golden")
    keys = folder / "keys"
    signing.init(keys, START - timedelta(days=1), entropy)
    signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
    keyring = Keyring(load_kek(keys / signing.KEK))
    tenant_key = keyring.new_tenant_key(TENANT, entropy)
    take = make_with_question(folder / "take", question(), QUESTION_END, YES, CONFIRMATION)
    sealed = seal(take, keyring, tenant_key, signer, NOW, entropy, Uptime("this start", 1300.0))
    texts = {"tenant key": tenant_key.to_bytes().decode()}
    for upload in sealed.uploads:
        content = upload.path.read_bytes()
        what = content.decode() if upload.key.endswith(".json") else hashlib.sha256(content).hexdigest()
        texts[upload.key] = what
    texts |= {
        f"amendment {amendment_kinds.KINDS[type(each)]}": _amendment(each, signer) for each in AMENDMENTS
    }
    handed_over = amendment_kinds.HoldSet(("agreement",), ID, "They are still talking.", NOW, replaces=1)
    texts |= {
        f"dispute statement {number}, {dispute_kinds.KINDS[type(each)]}": dispute_statement.write(
            DisputeStatement(
                TENANT, "d1", number, None if number == 1 else "0" * 64, NOW, By("user", ID), each
            ),
            signer,
        )
        for number, each in enumerate(STATEMENTS, 1)
    }
    statements = {
        "amendment hold_set in another's place": _amendment(handed_over, signer),
        "checkpoint": signed_note.sign(
            Head("0" * 32, TENANT, 1, 3, b"r" * 32, 1, NOW, signer.key_id, None), signer
        ),
        "credential": credential.write(Credential(TENANT, "user", ID, "customer", "0" * 64, NOW), signer),
        "second factors": second_factor.KIND.write(
            SecondFactors(
                TENANT,
                ID,
                1,
                AuthenticatorApp("0" * 64, NOW),
                (Passkey(b"id", b"key", "Phone", NOW),),
                ("1" * 64,),
            ),
            signer,
            NOW,
        ).decode(),
        "credential for some lines": credential.write(
            Credential(TENANT, "user", ID, "customer", "0" * 64, NOW, (ID,)), signer
        ),
        "invitation": invitation.write(
            Invitation(
                TENANT,
                ID,
                "claire@example.com",
                "Claire",
                "customer",
                "fr",
                "0" * 64,
                NOW,
                NOW + timedelta(days=7),
                "user",
                ID,
                (ID,),
            ),
            signer,
        ),
        "permission to download": download_permission.KIND.write(
            DownloadPermission(TENANT, ID, 1, True), signer, NOW
        ).decode(),
        "own call": own_call.KIND.write(
            OwnCallCode(TENANT, RECORDING, 1, ID, "+32470123456", "0" * 64, NOW + timedelta(days=14), False),
            signer,
            NOW,
        ).decode(),
        "own call withdrawn": own_call.KIND.write(
            OwnCallCode(TENANT, RECORDING, 2, ID, "+32470123456", None, NOW + timedelta(days=14), False),
            signer,
            NOW,
        ).decode(),
        "branding": BRANDING.write(
            Branding(
                TENANT,
                1,
                ID,
                "Telvoip",
                b"a logo",
                "#003366",
                "#99ccff",
                "calls@example.com",
                "Telvoip",
                "https://example.com/help",
            ),
            signer,
            NOW,
        ).decode(),
        "command": command.write(
            SignedCommand(TENANT, ID, RECORDING, "pause", "panel", ID, NOW), signer, NOW
        ),
        "disclosure": disclosure.write(Disclosure(TENANT, ID, RECORDING, "own", ID), signer, NOW),
        "retention": retention_limit.write(
            LimitSet(TENANT, ID, None, None, 30, NOW, False, BY), signer
        ).decode(),
        "retention lifted": retention_limit.write(
            LimitLifted(TENANT, ID, "0" * 64, NOW, BY), signer
        ).decode(),
    }
    return texts | statements | _put(folder, signer, entropy) | {"pack": _pack(signer)}


def _pack(signer: signing.Signer) -> str:
    files = tuple(PackFile(name, "0" * 64, 3) for name in ("data/report.html", "data/sound/call.opus"))
    sounds = (PackSound("data/sound/call.opus", "audio.opus", True),)
    statement = PackStatement(
        TENANT, RECORDING, "0" * 64, ("1" * 64,), "whole", sounds, files, Party("e164", "+32470123456"),
        "agreement", "A lawyer", "fr", ID, "customer_admin", 7, NOW,
    )  # fmt: skip
    return pack_statement.KIND.write(statement, signer).decode()


def _put(folder: Path, signer: signing.Signer, entropy: RepeatableEntropy) -> dict[str, str]:
    """Documents that go into the bucket as they are signed."""
    store, root = (
        DirectoryStore(folder / "bucket", entropy),
        signing.load_private(folder / "keys" / signing.ROOT_KEY),
    )
    public = root.public_key()
    until = NOW + timedelta(days=10)
    first = StatementBody(TENANT, 1, None, offboarding.ANNOUNCED, NOW, NOW, until, None, None)
    statement = offboarding.put_statement(store, first, signer, public)
    handed = HandedOver(ID, NOW, 1000, 2, 1, "0" * 64, "1" * 64)
    for kind, more in (
        (offboarding.HANDED_OVER, {"handed_over": handed}),
        (offboarding.ERASURE, {"early": "By letter."}),
        (offboarding.CANCELLED, {}),
    ):
        statement = offboarding.put_statement(
            store, statement.next_statement(kind, NOW, **more), signer, public
        )
    call_erasure.put(store, ID, TENANT, RECORDING, [RECORDING, ID], NOW, signer, public)
    texts = {key: store.read(key).decode() for key in sorted(store.list(""))}
    return texts | {
        "endorsement": (folder / "keys" / signing.ENDORSEMENT).read_text("utf-8"),
        "revocation": revocation.revoke(root, signer.key_id, NOW).decode(),
    }


def _amendment(data: amendment_kinds.Data, signer: signing.Signer) -> str:
    return amendment.write(Amendment(RECORDING, TENANT, 1, "0" * 64, NOW, BY, data), signer).decode()


SURFACES: dict[str, Callable[[], str]] = {
    "bucket.txt": bucket,
    "documents.txt": documents,
    "api.txt": api.answers,
    "leaves.txt": leaves.leaf,
    "receipts.txt": receipts.receipts,
    "switch_commands.txt": switch.command_texts,
    "json_shapes.txt": json_shapes.shapes,
    "../../docs/command-line.md": command_line.page,
}

if __name__ == "__main__":
    for file, make_text in SURFACES.items():
        (HERE / file).write_text(make_text(), "utf-8")
        print(file, file=sys.stderr)
