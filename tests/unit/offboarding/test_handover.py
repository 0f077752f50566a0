"""A departing customer's archive: one file, the same from any byte on, with only what may be used."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import random
import re
import tarfile
from dataclasses import replace
from datetime import timedelta

import pytest

from recorder import merkle
from recorder.auditlog import checkpoint
from recorder.auditlog.append import commitment
from recorder.catalogue import offboarding_progress, queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.recording import NotRecordedTable
from recorder.clock import to_iso
from recorder.domain.parties import Party
from recorder.errors import AccessError, CatalogueError
from recorder.features.offboarding import handover_queries, service, tar
from recorder.features.offboarding import queries as offboarding_queries
from recorder.features.subject_requests import service as request_register
from recorder.features.tenants import lines as line_register
from recorder.lifecycle import expiry
from recorder.playback.interface import Actor
from recorder.seal import canonical_json
from recorder.seal.amendment import By
from recorder.seal.sealing import open_manifest
from recorder.store.contract import Unreachable
from tests.amendments import amend
from tests.house import Customer

OPERATOR = By("operator")


@pytest.fixture
def bakery(house) -> Customer:
    customer = house.customer("Boulangerie Martin", "+3225550100")
    house.person(customer, "paul", "Paul Martin", role="customer_admin")
    house.person(customer, "claire", "Claire Martin")
    return customer


def person(customer: Customer, login: str = "paul") -> Actor:
    row = customer.people[login]
    return Actor(row.id, row.tenant, row.role, row.language)


def announce(house, customer: Customer, days: int = 30) -> None:
    office = replace(house.changes, signer=house.services.signer)
    service.announce(office, customer.id, house.clock() + timedelta(days=days))


def fetched(house, who: Actor, start: int = 0, end: int | None = None) -> bytes:
    opened = house.gate.handover(who)
    return b"".join(opened.read(start, opened.length if end is None else end))


def unpacked(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}


def sign(house, customer: Customer) -> None:
    services = house.services
    means = replace(services, checkpoints_seen={})
    checkpoint.sign(customer.id, means, house.clock())
    checkpoint.publish(customer.id, means, house.clock())


def test_header_equals_that_of_tarfile() -> None:
    member = tarfile.TarInfo("accord/recordings/x/audio.opus")
    member.size, member.mtime = 123_456, 1_764_000_000
    header_bytes = tar.header(member.name, member.size, member.mtime)
    read = tarfile.TarInfo.frombuf(header_bytes, "ascii", "strict")
    assert (read.name, read.size, read.mtime, read.mode) == (member.name, member.size, member.mtime, 0o644)
    for name, length in (("x" * 101, 1), ("x", 8**11)):
        with pytest.raises(ValueError, match="ustar"):
            tar.header(name, length, 0)


def test_archive_is_complete_and_verifiable_by_its_own_content(house, bakery, handed, clock) -> None:
    live, silent = house.call(bakery), house.call(bakery, announced=False)
    house.not_recorded(bakery, "never_connected")
    options = {"purpose": "training", "keep_days": 30, "reason": "on paper"}
    amend(house.changes.agree, bakery.id, live, OPERATOR, **options)
    announce(house, bakery)
    assert queries.lines(bakery.id) == ()
    sign(house, bakery)
    handed(bakery.id)
    files = unpacked(fetched(house, person(bakery)))
    mine = {name: content for name, content in files.items() if f"recordings/{live}/" in name}
    names = sorted(name.rpartition("/")[2] for name in mine)
    assert names == sorted(
        ["about.json", "amendment-0001.json", "audio.opus", "audio.wav", "log.jsonl", "manifest.json"]
    )
    manifest = open_manifest(mine[f"accord/recordings/{live}/manifest.json"], house.root_public)
    for each in manifest.objects:
        if each.name != "peaks":
            content = mine[f"accord/recordings/{live}/{each.name}"]
            assert hashlib.sha256(content).hexdigest() == each.plain_sha256
    assert b"+32470123456" in mine[f"accord/recordings/{live}/about.json"]
    table = files["accord/tables/recordings-00001.csv"].decode()
    assert f"{silent}," in table
    assert "access.not_announced" in table
    assert not any(f"recordings/{silent}/" in name for name in files)
    assert "access.not_announced" in handover_queries.count_reasons(bakery.id)
    assert_log_is_whole(house, files, live)
    assert (
        b"garder" in files["accord/announcements/announcements.json"]
        or b"convenu" in files["accord/announcements/announcements.json"]
    )
    assert any(name.startswith("accord/announcements/") and name.endswith(".wav") for name in files)


def test_escapes_spreadsheet_formulas(house, bakery, handed) -> None:
    evil = "+cmd|' /C calc'!A0;=1"
    house.call(bakery, external_party=Party("sip", evil))
    house.not_recorded(bakery, "declined", external_party=Party("sip", evil))
    announce(house, bakery)
    handed(bakery.id)
    files = unpacked(fetched(house, person(bakery)))
    tables = {name: content.decode() for name, content in files.items() if name.endswith(".csv")}
    for name in ("recordings-00001", "not-recorded-00001"):
        (row,) = csv.DictReader(io.StringIO(tables[f"accord/tables/{name}.csv"]))
        assert row["external_party"] == "'+cmd|' /C calc'!A0;'=1"
    for name, content in tables.items():
        cells = [cell for row in csv.reader(io.StringIO(content)) for cell in row]
        assert not [cell for cell in cells if re.match(r"[=+@-]", cell)], name


def test_tables_are_included_and_an_erased_call_becomes_spaces(house, bakery, handed) -> None:
    missed = [house.not_recorded(bakery, reason) for reason in ("never_connected", "declined")]
    house.not_recorded(house.customer("Van Dyck NV", "+3225550199"), "declined")
    more = {"now": house.clock(), "entropy": house.entropy}
    house.limit(bakery.id, 20, purpose="agreement")
    options = {"number": "+32470123456", "wants": "copy", "language": "fr", "by": bakery.people["paul"].id}
    request_register.enter(bakery.id, received_on=house.clock().date(), by_kind="user", **options, **more)
    announce(house, bakery)
    handed(bakery.id)
    who = person(bakery)
    before = fetched(house, who)
    files = unpacked(before)

    def rows(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(files[f"accord/tables/{name}.csv"].decode())))

    assert {(each["call"], each["reason"]) for each in rows("not-recorded-00001")} == {
        (missed[0], "never_connected"), (missed[1], "declined"),
    }  # fmt: skip
    assert {each["external_party"] for each in rows("not-recorded-00001")} == {"'+32470123456"}
    (number,) = rows("numbers")
    assert (number["number"], number["until"]) == ("'+3225550100", to_iso(house.clock()))
    assert [(each["purpose"], each["keep_days"]) for each in rows("keeping")] == [("agreement", "20")]
    assert [(each["number"], each["wants"]) for each in rows("requests")] == [("'+32470123456", "copy")]
    with writing():
        NotRecordedTable.delete().where(NotRecordedTable.id == missed[0]).execute()
    after = fetched(house, who)
    assert len(after) == len(before)
    left = unpacked(after)["accord/tables/not-recorded-00001.csv"]
    assert missed[0].encode() not in left
    assert missed[1].encode() in left


def assert_log_is_whole(house, files: dict[str, bytes], recording: str) -> None:
    """The leaves are those that were signed, and each commits to its body, there or beside its recording."""
    lines = [
        json.loads(line)
        for name in sorted(files)
        if name.startswith("accord/log/leaves-")
        for line in files[name].splitlines()
    ]
    apart = {
        each["leaf"]: each
        for each in map(json.loads, files[f"accord/recordings/{recording}/log.jsonl"].splitlines())
    }
    tree = merkle.GrowingTree()
    note = files["accord/log/checkpoint.note"].decode().splitlines()
    size = int(note[1])
    open_ = 0
    for number, line in enumerate(lines):
        if number < size:
            tree.add(merkle.hash_leaf(line["leaf"].encode()))
        entry = line if line["body"] is not None else apart.get(line["leaf"])
        if entry is not None:
            open_ += 1
            salt = canonical_json.read_bytes(entry["salt"], 32, "salt")
            assert json.loads(entry["leaf"])["commitment"] == commitment(salt, entry["body"].encode())
    assert open_ >= len(lines) - 3, "all but what is about a recording that is left out"
    assert base64.b64decode(note[2]) == tree.root()


def test_download_resumes_at_any_byte(house, bakery, handed, clock) -> None:
    house.call(bakery)
    house.call(bakery)
    announce(house, bakery)
    row = handed(bakery.id)
    who = person(bakery)
    whole = fetched(house, who)
    assert len(whole) == row.length == house.gate.handover(who).length
    clock.forward(hours=3)
    chance = random.Random(1)
    places = {0, 1, 511, 512, 513, row.length - 1025, row.length - 1024, row.length - 1}
    places |= {chance.randrange(row.length) for _ in range(40)}
    for place in sorted(places):
        end = min(row.length, place + chance.choice((1, 700, 70_000)))
        assert fetched(house, who, place, end) == whole[place:end], place
    assert fetched(house, who) == whole
    with connected():
        leaves = [(leaf.kind, leaf.body) for leaf in LeafTable.select().order_by(LeafTable.number)]
    assert sum(kind == "recording.handed_over" for kind, _ in leaves) == 2, "once each"
    opened = [json.loads(body) for kind, body in leaves if kind == "handover.opened"]
    assert [each["from"] for each in opened] == [0, 0], "one an hour"
    assert handed(bakery.id).handover == row.handover, "asked again, it is the same"
    assert handed(bakery.id, anew=True).handover != row.handover


class Away:
    """A store that is unavailable below a prefix."""

    def __init__(self, store, after: int) -> None:
        self._store, self.left = store, after

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def size(self, key: str) -> int:
        if self.left == 0:
            raise Unreachable("store.unreachable", "away", "")
        self.left -= 1
        return self._store.size(key)


@pytest.mark.long
def test_preparation_resumes_after_an_interruption(house, bakery, handed, monkeypatch) -> None:
    monkeypatch.setattr(offboarding_queries, "PAGE", 1)
    monkeypatch.setattr(offboarding_queries.recordings_of, "__defaults__", ("", 1))
    ids = [house.call(bakery) for _ in range(3)]
    announce(house, bakery)
    real = house.services
    house.services = replace(real, store=Away(real.store, 2))
    with pytest.raises(Unreachable):
        handed(bakery.id)
    progress = offboarding_progress.find_offboarding(bakery.id)
    assert (progress.handed_at, handover_queries.last_recording(bakery.id).number) == (None, 1)
    with pytest.raises(AccessError, match="nothing is handed over"):
        house.gate.handover(person(bakery))
    house.services = real
    assert handed(bakery.id).handover == progress.handover
    files = unpacked(fetched(house, person(bakery)))
    assert all(f"accord/recordings/{each}/audio.opus" in files for each in ids)


def test_an_erased_recording_reads_as_zeros_and_nothing_else_moves(house, bakery, handed, clock) -> None:
    withdrawn, stays = house.call(bakery, mode="opt-in"), house.call(bakery)
    announce(house, bakery)
    row = handed(bakery.id)
    who = person(bakery)
    before = fetched(house, who)
    amend(house.changes.withdraw, bakery.id, withdrawn, OPERATOR, reason="They said so")
    for destroyed in (False, True):
        if destroyed:
            assert expiry.destroy_due(house.services, house.clock()) == 1
        after = fetched(house, who)
        assert len(after) == row.length
        was, now = unpacked(before), unpacked(after)
        assert was.keys() == now.keys()
        for name, content in now.items():
            if f"recordings/{withdrawn}/" in name:
                assert content == bytes(len(was[name])), name
            elif destroyed and "tables/recordings" in name:
                assert content != was[name]
                assert withdrawn.encode() not in content
                assert stays.encode() in content
            else:
                assert content == was[name], name
    altered = next(house.bucket.glob(f"*/*/*/*/{stays}/audio.opus"))
    content = bytearray(altered.read_bytes())
    content[-1] ^= 1
    altered.write_bytes(content)
    name = f"accord/recordings/{stays}/audio.opus"
    damaged, was = unpacked(fetched(house, who))[name], unpacked(before)[name]
    end = (len(damaged) - 65480) % 65520
    assert damaged[-end:] == bytes(end), "a block that is not as it was sealed does not leave"
    assert damaged[:-end] == was[:-end]
    with connected():
        assert [leaf.recording_id for leaf in LeafTable.select().where(LeafTable.kind == "seal.broken")] == [
            stays
        ]


def test_only_the_customers_admins_download_it_and_only_until_the_announced_day(
    house, bakery, handed, clock
) -> None:
    rival = house.customer("Van Dyck NV", "+3225550199", language="en")
    house.person(rival, "dora", "Dora", role="customer_admin")
    house.call(bakery)

    def refusal(who: Actor) -> str:
        with pytest.raises(AccessError) as failure:
            house.gate.handover(who)
        return failure.value.error_id

    assert refusal(person(bakery)) == "access.handover_none"
    announce(house, bakery)
    handed(bakery.id)
    assert refusal(person(bakery, "claire")) == "access.handover_role"
    assert refusal(person(rival, "dora")) == "access.handover_none"
    assert refusal(replace(person(rival, "dora"), tenant=bakery.id)) == "access.revoked"
    opened = house.gate.handover(person(bakery))
    pieces = opened.read(0, opened.length)
    next(pieces)
    clock.forward(days=31)
    with pytest.raises(AccessError, match="no longer"):
        list(pieces)
    assert refusal(person(bakery)) == "access.handover_over"


def test_an_announcement_ends_the_lines_and_can_be_cancelled(house, bakery, handed, office, clock) -> None:
    when = {"now": house.clock(), "entropy": house.entropy}
    with pytest.raises(CatalogueError, match="in the past"):
        service.announce(office, bakery.id, house.clock())
    announce(house, bakery)
    with pytest.raises(CatalogueError, match="announced before"):
        announce(house, bakery)
    line = {"number": "+3225550101", "announcement": bakery.announcement.id, **when}
    with pytest.raises(CatalogueError, match="leaves"):
        line_register.create_line(bakery.id, **line)
    handed(bakery.id)
    service.cancel(office, bakery.id)
    assert offboarding_progress.find_offboarding(bakery.id) is None
    assert handover_queries.handed_recordings(bakery.id, 0) == ()
    assert line_register.create_line(bakery.id, **line).number == "+3225550101"
