"""A world in which everything happened that a customer's log can say: kinds of leaves, and what is signed of
it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.access.gate import Gate, Who
from recorder.access.handover.preparing import prepare
from recorder.access.sealed import Seals
from recorder.catalogue import (
    customers,
    grants,
    keeping,
    leaving,
    models,
    people,
    persons,
    queries,
    reviews,
    schema,
)
from recorder.catalogue.models import LedgerEntry, NotRecorded, connected
from recorder.errors import AccessError, SealError
from recorder.ledger import begin, checkpoint
from recorder.lifecycle import forgetting, offboarding, receipt, retention
from recorder.lifecycle import leaving as ending
from recorder.lifecycle.changing import Changes
from recorder.lifecycle.rewrapping import Rewrapping
from recorder.recover import backup
from recorder.recover.rebuild import Rebuild
from recorder.seal import keks, signing
from recorder.seal.amendment import By
from tests.conftest import Clock, Repeating, make_house
from tests.stored import put_small
from tests.unit.ledger.conftest import BEGAN, World, make_world
from tests.unit.ledger.filled import fill, said
from tests.vouching import vouch

OPERATOR = By("operator")
KEPT_BACKUPS = timedelta(days=30)
SAMPLE = "recording.stored"


@dataclass
class Happened:
    """What is read of such a world: by kind the fields that bodies had, a leaf, and receipts."""

    kinds: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    sample: tuple[str, str, str, str] | None = None
    receipts: dict[str, str] = field(default_factory=dict)
    root: Ed25519PublicKey | None = None

    def look(self) -> None:
        """Bodies as they are now: some are gone later."""
        with connected():
            for row in LedgerEntry.select().order_by(LedgerEntry.tenant, LedgerEntry.number):
                if row.body is not None:
                    self.kinds.setdefault(row.kind, set()).add(tuple(sorted(json.loads(row.body))))
                    if row.kind == SAMPLE and self.sample is None:
                        self.sample = row.leaf, row.leaf_hash, row.body, bytes(row.salt).hex()


def kinds() -> str:
    """Every kind of leaf with its body's fields, a line for each set of them; and one leaf, byte for byte."""
    happened = everything()
    lines = [
        f"{kind}  {','.join(fields)}"
        for kind in sorted(happened.kinds)
        for fields in sorted(happened.kinds[kind])
    ]
    assert happened.sample is not None
    names = ("leaf", "its hash", "its body", "its salt")
    sample = [f"== {name}\n{text}\n" for name, text in zip(names, happened.sample, strict=True)]
    return "\n".join([*lines, "", *sample])


def receipts() -> str:
    """The receipts of an erasure and of a customer who left, and what confirms holds, byte for byte."""
    return "".join(f"== {name}\n{text}\n\n" for name, text in everything().receipts.items())


@cache
def everything() -> Happened:
    """Made once: it takes longer than all else here."""
    happened = Happened()
    with tempfile.TemporaryDirectory() as name, _catalogue(Path(name), "catalogue") as url:
        with connected():
            world = fill(make_world(make_house(Path(name), url, Clock(BEGAN), Repeating("golden"))))
            happened.root = world.house.means.root_public
            happened.look()
            _settings(world)
            _listening(world)
            _keys(world)
            _erasing(world, happened)
            world.sign()
            happened.look()
        _again(world, happened)
    return happened


@contextmanager
def _catalogue(folder: Path, name: str) -> Iterator[str]:
    before = models.database.obj
    url = f"sqlite:///{folder / name}.db"
    schema.migrate(url)
    opened = models.open_catalogue(url)
    try:
        yield url
    finally:
        opened.close()
        models.database.initialize(before)


def _changes(world: World) -> Changes:
    given = world.house.means
    return Changes(given.store, given.root_public, given.signer, world.house.clock, world.house.entropy)


def _destroying(world: World) -> retention.Means:
    given = world.house.means
    return retention.Means(given.store, given.root_public, given.signer, world.house.entropy)


def _who(world: World) -> Who:
    person = people.user(world.tenant, world.user)
    assert person is not None
    return Who(person.id, person.tenant, person.role, person.language)


def _gate(world: World) -> Gate:
    house, given = world.house, world.house.means
    return Gate(given.store, given.keyring, given.root_public, now=house.clock, entropy=house.entropy)


def _settings(world: World) -> None:
    world.happen()
    person = people.user(world.tenant, world.user)
    assert person is not None
    assert people.note_refused_log_in(person, **said(world))
    signer = world.house.means.signer
    assert people.set_password(world.tenant, world.user, "$argon2id$4", signer=signer, **said(world))
    world.house.limit(None, purpose="training")
    line = world.house.line.id
    assert customers.set_line_joining(world.tenant, line, "alone", ask=True, **said(world))


def _listening(world: World) -> None:
    gate, who, clock = _gate(world), _who(world), world.house.clock
    with suppress(AccessError):
        gate.grant(who, world.erased, "agreement")
    grant = gate.grant(who, world.kept, "agreement")
    row = grants.own(world.tenant, world.user, grant.id)
    assert row is not None
    assert grants.renew(row, clock() + timedelta(hours=2), **said(world))
    clock.forward(minutes=61)
    assert grants.renew(row, clock() + timedelta(minutes=15), **said(world))
    file = next(world.house.bucket.rglob(f"{world.kept}/audio.*"))
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with suppress(SealError):
        list(gate.open(who, grant.id, file.name, "one").read(0, 1))
    file.write_bytes(content)


def _keys(world: World) -> None:
    folder, house = world.house.root / "keys", world.house
    keks.make_next(folder, house.entropy)
    rewrapping = Rewrapping(house.means.store, keks.rotating(folder), house.clock, house.entropy, "one")
    rewrapping.begin(world.tenant)
    rewrapping.all()
    keks.promote(folder, lambda _reached: None)
    house.means = replace(house.means, keyring=keks.keyring(folder))


def _erasing(world: World, happened: Happened) -> None:
    """A recording that the customer has deleted, calls that were not recorded, for a person who asked."""
    tenant, house = world.tenant, world.house
    recording = put_small(house)
    with connected():
        undecided = NotRecorded.get(NotRecorded.quarantined_until.is_null(False)).id
    keeping.note_taken_away(undecided, **said(world))
    request = persons.enter(
        tenant, number="+32470123456", wants="erasure", language="fr", received_on=house.clock().date(),
        by_kind="operator", by=None, **said(world),
    ).id  # fmt: skip
    vouch(tenant, request, signer=house.means.signer, **said(world))
    happened.look()
    _changes(world).delete(tenant, recording, By("user", world.user), reason="Not needed.")
    assert retention.destroy_due(_destroying(world), house.clock()) == 1
    reviews.note_erasing(tenant, request, world.kept, why_not=None, until=None, who=world.user, **said(world))
    forgetting.erase(_changes(world), persons.request(tenant, request), world.user)
    given = house.means
    made = receipt.receipt(
        tenant, recording, given.store, given.root_public, given.signer, KEPT_BACKUPS, house.clock()
    )
    happened.receipts["of an erasure"] = made.content.decode()


def _again(world: World, happened: Happened) -> None:
    """The catalogue is lost, after a copy of it was made."""
    house, path = world.house, world.house.root / "accord.backup"
    ring, public = house.means.keyring, house.means.root_public
    told = house.clock, house.entropy
    backup.write(path, ring, house.clock(), house.entropy, lambda _table, _rows: None)
    house.clock.forward(hours=1)
    put_small(house)
    world.sign()
    happened.look()
    with _catalogue(house.root, "again"):
        backup.restore(path, ring, house.clock(), house.entropy, lambda _table, _rows: None)
        Rebuild(house.means.store, ring, public, *told, threads=1).run()
        begin.begin(world.tenant, "the disk broke", world.signing(), house.clock.forward(minutes=1))
        assert house.confirm_holds()
        confirmed = json.loads(world.leaf("holds.confirmed").body or "")
        happened.receipts["that holds are confirmed"] = confirmed["statement"]
        _leaving(world, happened)
        happened.look()


def _leaving(world: World, happened: Happened) -> None:
    """The customer leaves, does not, and leaves after all."""
    tenant, house, office = world.tenant, world.house, _changes(world)
    given, clock = house.means, house.clock
    offboarding.announce(office, tenant, clock() + timedelta(days=10))
    offboarding.cancel(office, tenant)
    clock.forward(minutes=1)
    offboarding.announce(office, tenant, clock() + timedelta(days=10))
    seals = Seals(given.store, given.keyring, given.root_public)
    sign = partial(offboarding.hand_over, office, tenant)
    pem = signing.public_pem(given.root_public)
    prepare(tenant, seals, given.store, pem, sign, anew=False, **said(world))
    handed = _gate(world).handover(_who(world))
    assert sum(map(len, handed.read(0, handed.length))) == handed.length
    clock.forward(days=10)
    row = queries.recording(tenant, world.kept)
    assert row is not None
    _changes(world).lift(tenant, world.kept, OPERATOR, hold=1, reason="They agree.")
    offboarding.decide(office, tenant, early=None)
    means = ending.Means(
        _destroying(world),
        checkpoint.Means(given.store, given.signer, given.root_public, house.entropy, owner="one"),
        KEPT_BACKUPS,
        elapsed=lambda: 0.0,
    )
    happened.look()
    assert ending.erase_due(means, clock()) == 1
    happened.receipts["of an offboarding"] = leaving.standing(tenant).receipt
