"""The search finds what a comparison of every call finds, whichever way it takes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from recorder.catalogue.database import writing
from recorder.catalogue.records import NotRecordedRow, RecordingRow
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.announcement import AnnouncementTable, SoundTable
from recorder.catalogue.tables.identity import UserTable
from recorder.catalogue.tables.note import NoteTable
from recorder.domain.names import fold_name
from recorder.domain.parties import Party
from recorder.features.call_list import queries, rules, service
from recorder.features.call_list.rules import CallQuery, parse_name, parse_text
from recorder.features.contacts import service as contacts
from recorder.features.team import extensions
from recorder.features.tenants import lines
from recorder.seal.amendment import By
from tests.unit.catalogue.conftest import OTHER, TENANT

CALLS = 160
NUMBERS = (
    "+32470123456", "+32470123457", "+32470999999", "+32471000000", "+3225550100", "+33142685300",
    "+3247047047", "112", "sip:anna.de.vries@example.be", "sip:Anna@example.org", "reception",
    "sip:Élodie.Noël@example.be", "sip:élodie@example.org",
)  # fmt: skip
LINES = ("line-a", "line-b", "line-c")
REASONS = ("declined", "never_connected", "not_kept", "no_answer")
MODES = {"asks": "opt-in", "offers": "opt-out"}
"""Announcements with a mode, by id; another one is a notice."""

LABELS = ("complaint", "lead")


@dataclass(frozen=True)
class Model:
    """The calls, what was done with recordings (``held``, ``noted``, or a label) by id, and whether a call
    fits a query."""

    calls: list[RecordingRow | NotRecordedRow]
    texts: dict[str, set[str]]

    def find(self, query: CallQuery) -> list[str]:
        matches = [each for each in self.calls if self.fits(each, query)]
        return [each.id for each in sorted(matches, key=lambda c: (c.started_at, c.id), reverse=True)]

    def fits(self, call: RecordingRow | NotRecordedRow, query: CallQuery) -> bool:
        recording = call if isinstance(call, RecordingRow) else None
        return all(
            (
                call.tenant == query.tenant,
                query.text is None or any(fold_name(query.text) in fold_name(each) for each in values(call)),
                query.since is None or call.started_at >= query.since,
                query.until is None or call.started_at < query.until,
                query.line is None or call.line == query.line,
                query.scope is None or call.line in query.scope,
                query.direction is None or call.direction == query.direction,
                query.shortest_ms is None or (recording and recording.duration_ms >= query.shortest_ms),
                query.longest_ms is None or (recording and recording.duration_ms < query.longest_ms),
                query.consent is None or consent(call) == query.consent,
                query.agreement is None or agreement(call) == query.agreement,
                query.recorded is None or (recording is not None) == query.recorded,
                query.reason is None or (recording is None and call.reason == query.reason),
                not query.held or "held" in self.texts[call.id],
                not query.noted or "noted" in self.texts[call.id],
                query.label is None or query.label in self.texts[call.id],
            )
        )


def values(call: RecordingRow | NotRecordedRow) -> list[str]:
    inside = call.internal_party if isinstance(call, RecordingRow) else None
    return [call.number, *(each.value for each in (call.external_party, inside) if each)]


def consent(call: RecordingRow | NotRecordedRow) -> str | None:
    if isinstance(call, RecordingRow):
        if call.import_sha256 or not call.announced:
            return "imported" if call.import_sha256 else "unannounced"
        return MODES.get(call.announcement, "notice")
    return {"declined": "declined", "no_answer": "unanswered"}.get(call.reason)


def agreement(call: RecordingRow | NotRecordedRow) -> str | None:
    if isinstance(call, NotRecordedRow):
        return {"not_kept": "refused"}.get(call.reason)
    return call.agreement or "not-asked"


@pytest.fixture
def model(tenants, clock, stored: Callable, unrecorded: Callable) -> Model:
    rng = random.Random(17)
    add_announcements(clock())
    calls: list[RecordingRow | NotRecordedRow] = []
    for n in range(CALLS):
        at = clock() - timedelta(minutes=rng.randrange(CALLS * 3))  # some at the same time
        party = Party("e164", rng.choice(NUMBERS))
        tenant = OTHER if n % 9 == 0 else TENANT
        line = "line-c" if n > CALLS * 0.8 else rng.choice(LINES[:2])
        common = {"line": line, "number": f"+322555010{LINES.index(line)}", "external_party": party}
        common |= {"direction": rng.choice(("inbound", "inbound", "outbound")), "started_at": at}
        if n % 4 == 0:
            calls.append(unrecorded(tenant, reason=rng.choice(REASONS), ended_at=at, **common))
            continue
        kinds = ("agreed", "agreed", "entered", "refused", "unanswered", "withdrawn", None, None, None)
        calls.append(
            stored(
                tenant,
                duration_ms=rng.choice((1000, 61_000, 400_000)),
                announced=rng.random() < 0.9,
                agreement=rng.choice(kinds),
                import_sha256=rng.choice((None, None, None, f"{n:064x}")),
                announcement=rng.choice(("a-notice", *MODES)),
                internal_party=Party("extension", rng.choice(("1001", "1002", "47"))),
                **common,
            )
        )
    return Model(calls, write_about(calls, rng, clock()))


def add_announcements(now: datetime) -> None:
    """Announcements of each mode."""
    with writing():
        SoundTable.create(sha256="sound", wav=b"", duration_ms=5000, created_at=now)
        for identity, mode in {"a-notice": "notice", **MODES}.items():
            AnnouncementTable.create(
                id=identity, tenant=TENANT, name=identity, version=1, language="fr", text="", purposes=[],
                keep_days=30, sound="sound", mode=mode, created_at=now,
            )  # fmt: skip


def write_about(
    calls: list[RecordingRow | NotRecordedRow], rng: random.Random, now: datetime
) -> dict[str, set[str]]:
    """Holds, notes and labels of some recordings, and some that were lifted or deleted."""
    texts: dict[str, set[str]] = {call.id: set() for call in calls}
    with writing():
        UserTable.create(
            id="somebody", tenant=TENANT, login="s", name="S", role="customer", language="fr",
            password_hash="", created_at=now,
        )  # fmt: skip
        for call in [each for each in calls if isinstance(each, RecordingRow)]:
            for what in ("held", "noted", *LABELS):
                erased = rng.random() < 0.2
                if rng.random() < 0.6:
                    continue
                if not erased:
                    texts[call.id].add(what)
                if what == "held":
                    AmendmentTable.create(
                        id=f"{call.id}/1", tenant=call.tenant, recording=call.id, number=1, kind="hold_set",
                        at=now, by_kind="user", by_id=None, data={}, sha256="",
                        ended_by=2 if erased else None,
                    )  # fmt: skip
                    continue
                NoteTable.create(
                    id=f"{call.id}-{what}", tenant=call.tenant, recording=call.id, user="somebody",
                    kind="note" if what == "noted" else "label", text=what, created_at=now,
                    deleted_at=now if erased else None,
                )  # fmt: skip
    return texts


def make_query(rng: random.Random, now: datetime) -> CallQuery:
    """A query for a few things at once; most find something."""
    examples = rng.sample(
        (
            "text",
            "time",
            "line",
            "scope",
            "direction",
            "length",
            "consent",
            "agreement",
            "recorded",
            "reason",
            "held",
            "noted",
            "label",
        ),
        rng.choice((0, 1, 1, 1, 2, 2, 3)),
    )
    query = CallQuery(TENANT)
    for each in examples:
        if each == "text":
            value = rng.choice(NUMBERS).lower().lstrip("+")
            begin = rng.randrange(len(value))
            query = replace(query, text=value[begin : begin + rng.choice((1, 2, 3, 5, 20))])
        elif each == "time":
            since = now - timedelta(minutes=rng.randrange(CALLS * 3))
            until = rng.choice((None, since + timedelta(minutes=rng.randrange(200))))
            query = replace(query, since=rng.choice((None, since)), until=until)
        elif each == "scope":
            query = replace(query, scope=frozenset(rng.sample(LINES, rng.randrange(3))))
        elif each == "length":
            query = replace(
                query, shortest_ms=rng.choice((None, 60_000)), longest_ms=rng.choice((None, 300_000))
            )
        else:
            known = {
                "line": (*LINES, "unknown"), "direction": rules.DIRECTIONS, "consent": rules.CONSENTS,
                "agreement": rules.AGREEMENTS, "recorded": (True, False), "reason": REASONS,
                "held": (True,), "noted": (True,), "label": (*LABELS, "unknown"),
            }  # fmt: skip
            query = replace(query, **{each: rng.choice(known[each])})
    return query


def read_forwards(query: CallQuery, limit: int) -> list[service.CallPage]:
    pages = [service.list_calls(query, limit=limit)]
    while pages[-1].older is not None:
        pages.append(service.list_calls(query, after=pages[-1].older, limit=limit))
        assert len(pages) < CALLS * 2, "it never ends"
    return pages


def ids(page: service.CallPage) -> list[str]:
    return [call.row.id for call in page.calls]


SIZES = {
    "as it is": {},
    "small windows": {"QUICK": 6, "WINDOW": 12, "CANDIDATES": 3, "LISTED": 6, "SHARE": 4},
}


@pytest.mark.postgresql
@pytest.mark.parametrize("sizes", SIZES)
def test_every_way_finds_what_a_comparison_of_each_call_finds(model, clock, monkeypatch, sizes) -> None:
    for name, value in SIZES[sizes].items():
        monkeypatch.setattr(queries, name, value)
    rng = random.Random(4)
    found_some = stopped = 0
    for _ in range(70):
        query, limit = make_query(rng, clock()), rng.choice((3, 7, 50))
        expected = model.find(query)
        pages = read_forwards(query, limit)
        assert [each for page in pages for each in ids(page)] == expected, query
        assert all(len(page.calls) == limit or page.searched_to for page in pages[:-1]), query
        count = pages[0].count
        assert count.number <= len(expected), query
        assert not count.exact or count.number == len(expected), query
        assert sizes != "as it is" or count.exact
        found_some += bool(expected)
        stopped += any(page.searched_to for page in pages)
    assert found_some > 35
    assert stopped > 5 if sizes == "small windows" else stopped == 0


@pytest.mark.long
@pytest.mark.parametrize("sizes", SIZES)
def test_pages_are_the_same_backwards(model, clock, monkeypatch, sizes) -> None:
    for name, value in SIZES[sizes].items():
        monkeypatch.setattr(queries, name, value)
    rng = random.Random(5)
    for _ in range(60):
        query, limit = make_query(rng, clock()), rng.choice((3, 7))
        expected = model.find(query)
        page = read_forwards(query, limit)[-1]
        ids_seen = ids(page)
        for _ in range(CALLS * 2):
            if page.newer is None:
                break
            page = service.list_calls(query, before=page.newer, limit=limit)
            ids_seen = ids(page) + [each for each in ids_seen if each not in ids(page)]
        assert page.newer is None, query
        assert ids_seen == expected, query


def test_counts_up_to_a_thousand(model, monkeypatch) -> None:
    monkeypatch.setattr(queries, "COUNTED", 20)
    page = service.list_calls(CallQuery(TENANT), limit=3)
    assert (page.count.number, page.count.exact) == (20, False)
    few = service.list_calls(CallQuery(TENANT, reason="declined"), limit=3).count
    assert few.exact
    assert few.number == len(model.find(CallQuery(TENANT, reason="declined")))


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("0470 12 34 56", "470123456"),
        ("+32 (0)470/12.34", "324701234"),
        ("0032470", "32470"),
        ("tel:+32470", "32470"),
        ("  Anna ", "anna"),
        ("sip:anna@example.be", "sip:anna@example.be"),
        ("0", "0"),
        ("+00", "00"),
        ("+", None),
        ("", None),
        ("%_", None),
    ],
)
def test_reads_a_number_in_any_spelling(typed: str, text: str | None) -> None:
    assert parse_text(typed) == text


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("  Élodie   DUPONT ", "elodie dupont"),
        ("E\u0301lodie", "elodie"),
        ("Straße", "strasse"),
        ("Magasin 12", "magasin 12"),
        ("0470 12 34 56", None),
        ("%_", None),
    ],
)
def test_reads_a_name_without_case_and_accents(typed: str, name: str | None) -> None:
    assert parse_name(typed) == name


def test_label_of_a_line_is_a_name(announce, tenants, stored, clock, entropy) -> None:
    line = lines.create_line(
        TENANT, number="+3225550100", announcement=announce(), label="Marché 98", now=clock(), entropy=entropy
    )
    mine = stored(line=line.id)
    stored(line="another")
    for typed in ("arche", "MARCHÉ", "marché 98", "Marche\u0301 9"):
        query = CallQuery(TENANT, text=parse_text(typed), name=parse_name(typed))
        assert ids(service.list_calls(query, limit=9)) == [mine.id], typed


@pytest.mark.postgresql
@pytest.mark.parametrize("sizes", SIZES)
def test_number_is_found_by_the_name_that_the_customer_gave_it(
    tenants, stored, unrecorded, clock, entropy, monkeypatch, sizes
) -> None:
    for name, value in SIZES[sizes].items():
        monkeypatch.setattr(queries, name, value)
    jan, other = Party("e164", "+32470000011"), Party("e164", "+32470000012")
    mine, missing = stored(external_party=jan).id, unrecorded(external_party=jan).id
    inside = stored(external_party=other, internal_party=jan).id
    stored(external_party=other)
    stored(OTHER, external_party=jan)
    for tenant, name in ((TENANT, "Élodie Peeters"), (OTHER, "Somebody Else")):
        user = UserTable.create(
            id=f"{tenant}-user", tenant=tenant, login=tenant, name="Claire", role="customer", language="fr",
            password_hash="", created_at=clock(),
        )  # fmt: skip
        contacts.write_names(tenant, user.id, {jan.value: name}, now=clock(), entropy=entropy)
    for typed in ("elodie", "PEETERS", "Élodie P"):
        query = CallQuery(TENANT, text=parse_text(typed), name=parse_name(typed))
        assert {*ids(service.list_calls(query, limit=9))} == {mine, missing, inside}, typed
    for typed in ("Somebody", "nobody"):
        query = CallQuery(TENANT, text=parse_text(typed), name=parse_name(typed))
        assert ids(service.list_calls(query, limit=9)) == [], typed


@pytest.mark.postgresql
def test_call_is_found_by_the_colleague_who_has_its_extension(tenants, stored, clock, entropy) -> None:
    inside, at = Party("extension", "2001"), {"now": clock(), "entropy": entropy}
    mine = stored(internal_party=inside).id
    stored(internal_party=Party("extension", "2002"))
    stored(OTHER, internal_party=inside)
    people = []
    for tenant, name in ((TENANT, "Claire Martin"), (TENANT, "Élodie Claes"), (OTHER, "Somebody Else")):
        people.append(f"{tenant}-{len(people)}")
        UserTable.create(
            id=people[-1], tenant=tenant, login=people[-1], name=name, role="customer", language="fr",
            password_hash="", created_at=clock(),
        )  # fmt: skip

    def found(typed: str) -> list[str]:
        query = CallQuery(TENANT, text=parse_text(typed), name=parse_name(typed))
        return ids(service.list_calls(query, limit=9))

    extensions.set_extensions(TENANT, people[0], ["2001"], by=By("operator"), **at)
    extensions.set_extensions(OTHER, people[2], ["2001"], by=By("operator"), **at)
    assert (found("claire"), found("elodie"), found("Somebody")) == ([mine], [], [])
    extensions.set_extensions(TENANT, people[0], [], by=By("operator"), **at)
    extensions.set_extensions(TENANT, people[1], ["2001"], by=By("operator"), **at)
    assert (found("claire"), found("elodie")) == ([], [mine])


@pytest.mark.parametrize("sizes", SIZES)
def test_address_is_found_without_case_and_accents(tenants, stored, monkeypatch, sizes) -> None:
    for name, value in SIZES[sizes].items():
        monkeypatch.setattr(queries, name, value)
    capital = stored(external_party=Party("sip", "sip:\u00c9LODIE.\u00d8rsted@ex\u00e4mple.be")).id
    plain = stored(external_party=Party("sip", "sip:elodie.orsted@example.be")).id
    anna = stored(external_party=Party("sip", "sip:anna@example.be")).id
    stored(OTHER, external_party=Party("sip", "sip:\u00c9LODIE@example.be"))
    for typed, expected in (
        ("\u00c9LODIE", {capital, plain}),
        ("E\u0301lodie", {capital, plain}),
        ("elodie", {capital, plain}),
        ("\u00f8rsted", {capital}),
        ("sip:\u00e9lodie.\u00f8rsted@example.be", {capital}),
        ("@ex\u00c4mple", {capital, plain, anna}),
        ("nobody\u00e9", set()),
    ):
        query = CallQuery(TENANT, text=parse_text(typed), name=parse_name(typed))
        found = [each for page in read_forwards(query, 9) for each in ids(page)]
        assert sorted(found) == sorted(expected), typed


def test_pattern_characters_are_plain_text(tenants, stored) -> None:
    mine = stored(external_party=Party("sip", "sip:100%_off\\@example.be"))
    stored(external_party=Party("sip", "sip:100 off@example.be"))
    for text in ("100%", "%_o", "off\\@e", "sip:100%_off\\@example.be"):
        assert ids(service.list_calls(CallQuery(TENANT, text=text), limit=9)) == [mine.id], text
    assert ids(service.list_calls(CallQuery(TENANT, text="100_o"), limit=9)) == []
