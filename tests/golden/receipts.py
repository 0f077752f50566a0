"""A small house: a recording is erased, and then its customer leaves; what is signed of that, and a leaf."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.catalogue import database, schema
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.features.offboarding import duty as offboarding_duty
from recorder.features.offboarding import queries, service
from recorder.features.offboarding.plan import prepare_handover
from recorder.lifecycle import erasure_receipt, expiry, hold_review
from recorder.lifecycle.amendment_service import Changes
from recorder.playback.verified_recording import RecordingVerifier
from recorder.seal import signing
from recorder.seal.amendment import By
from tests.amendments import amend
from tests.clock import Clock
from tests.entropy import RepeatableEntropy
from tests.house import Bakery
from tests.stored_recordings import put_small

BACKUPS_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Receipts:
    """Documents by their names, the root's public key, and a leaf: its text, hash, body and salt."""

    texts: dict[str, str]
    root: Ed25519PublicKey
    leaf: tuple[str, str, str, str]


def receipts() -> str:
    """The receipts of an erasure and of a customer who left, and what confirms holds, byte for byte."""
    return "".join(f"== {name}\n{text}\n\n" for name, text in make_receipts().texts.items())


@cache
def make_receipts() -> Receipts:
    """Made once."""
    with tempfile.TemporaryDirectory() as name, catalogue(Path(name), "catalogue") as url, connected():
        house = Bakery(Path(name), Clock(), RepeatableEntropy("golden"), url)
        recording, other = put_small(house), put_small(house)
        leaf = _leaf("recording.stored")
        texts = {
            "of an erasure": _erased(house, other),
            "that holds are confirmed": _confirmed(house),
            "of an offboarding": _left(house),
        }
        assert recording in leaf[2]
        return Receipts(texts, house.services.root, leaf)


@contextmanager
def catalogue(folder: Path, name: str) -> Iterator[str]:
    """An empty catalogue that this process has open; the one of before is back afterwards."""
    before = database.database.obj
    url = f"sqlite:///{folder / name}.db"
    schema.migrate(url)
    opened = database.open_catalogue(url)
    try:
        yield url
    finally:
        opened.close()
        database.database.initialize(before)


def hand_over(house: Bakery, office: Changes) -> None:
    """What a customer who leaves can fetch is fixed."""
    services = house.services
    seals = RecordingVerifier(services.store, services.keyring, services.root)
    sign = partial(service.hand_over, office, house.tenant)
    pem = signing.public_pem(services.root)
    time_and_entropy = {"now": house.clock(), "entropy": house.entropy}
    prepare_handover(house.tenant, seals, services.store, pem, sign, anew=False, **time_and_entropy)


def erase_all(house: Bakery, office: Changes) -> str:
    """Everything of a customer who leaves is destroyed; the receipt."""
    services, clock = house.services, house.clock
    clock.forward(days=10)
    service.order_erasure(office, house.tenant, early=None)
    assert offboarding_duty.erase_due(services, clock(), elapsed=lambda: 0.0) == 1
    return str(queries.require_departure(house.tenant).receipt)


def _erased(house: Bakery, recording: str) -> str:
    service: Changes = house.office()
    amend(service.delete, house.tenant, recording, By("operator"), reason="Not needed.")
    assert expiry.destroy_due(house.services, house.clock()) == 1
    means, now = house.services, house.clock()
    receipt = erasure_receipt.receipt(
        house.tenant, recording, means.store, means.root, means.signer, BACKUPS_KEPT, now
    )
    return receipt.content.decode()


def _confirmed(house: Bakery) -> str:
    hold_review.suspend_expiry("restore", house.clock(), house.entropy)
    assert house.confirm_holds()
    _, _, body, _ = _leaf("holds.confirmed")
    return str(json.loads(body)["statement"])


def _left(house: Bakery) -> str:
    office = house.office()
    house.work(house.unrecorded())
    service.announce(office, house.tenant, house.clock() + timedelta(days=10))
    hand_over(house, office)
    return erase_all(house, office)


def _leaf(kind: str) -> tuple[str, str, str, str]:
    """The first leaf of a kind."""
    row = LeafTable.select().where(LeafTable.kind == kind).order_by(LeafTable.number).get()
    return row.leaf, row.leaf_hash, row.body, bytes(row.salt).hex()
