"""A customer with ten thousand calls and fifty colleagues: its pages ask the catalogue as little as with a
hundred calls, and are no longer."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import peewee
import pytest

from recorder.catalogue.database import writing
from recorder.catalogue.records import NotRecordedRow, ObjectRow, RecordingRow
from recorder.domain.parties import Party
from recorder.features.contacts import service as contacts
from recorder.features.notes import service as notes
from recorder.features.team import extensions
from recorder.ids import uuid7
from recorder.lifecycle import recordings
from recorder.seal.amendment import By
from tests.conftest import KINDS
from tests.house import Customer, House
from tests.unit.web.conftest import Browser
from tests.unit.web.page_text import english
from web import WebConfig

FEW, MANY = 100, 10_000
COLLEAGUES = 50
CALLERS = 400
"""Different numbers, which call again and again; every second has a name."""

PAGE = 50
FIRST_EXTENSION = 2000
SPAN = timedelta(days=60)

SPARE = 6
"""Statements that a page of many calls may take more: a search reads a few more windows of its index."""

MOST_STATEMENTS = 45
MOST_BYTES = 200_000


@pytest.fixture
def config() -> WebConfig:
    """With pages of the usual length."""
    return WebConfig(secret_key=b"k" * 32, secure_cookies=False, page=PAGE)


def caller(number: int) -> Party:
    return Party("e164", f"+32470{number % CALLERS * 2503 % 10**6:06}")


@dataclass
class Company:
    """A customer whose calls become more."""

    house: House
    customer: Customer
    size: int = 0

    def hire(self) -> None:
        """Colleagues, each with an extension, and names for callers."""
        tenant, now = self.customer.id, {"now": self.house.clock(), "entropy": self.house.entropy}
        for number in range(COLLEAGUES):
            user = self.house.user(tenant, f"c{number}@bakery.example", name=f"Colleague {number}")
            own = [str(FIRST_EXTENSION + number)]
            extensions.set_extensions(tenant, user.id, own, by=By("operator"), **now)
        names = {caller(number).value: f"Caller {number}" for number in range(0, CALLERS, 2)}
        contacts.write_names(tenant, self.customer.people["claire"].id, names, **now)

    def fill(self, size: int) -> None:
        """Have so many calls, spread over the same time: one in ten was not recorded, one in fifty has a note
        and a label."""
        for begin in range(self.size, size, 500):
            with writing():
                for number in range(begin, min(begin + 500, size)):
                    self._add(number, size)
        self.size = size

    def _add(self, number: int, size: int) -> None:
        house, customer = self.house, self.customer
        at = house.clock() - timedelta(minutes=1) - SPAN * (number * 7919 % size) / size
        now = {"now": house.clock(), "entropy": house.entropy}
        common = {
            "id": str(uuid7(at, house.entropy)), "tenant": customer.id, "line": customer.line.id,
            "number": customer.line.number, "direction": "outbound" if number % 5 == 1 else "inbound",
            "external_party": caller(number), "started_at": at,
        }  # fmt: skip
        if number % 10 == 9:
            reason = ("declined", "never_connected", "daemon_away")[number % 3]
            missing = NotRecordedRow(
                **common, node="node1", ended_at=at, reason=reason, quarantined_until=None
            )
            assert recordings.add_not_recorded(missing, **now)
            return
        row = RecordingRow(
            **common, internal_party=Party("extension", str(FIRST_EXTENSION + number % COLLEAGUES)),
            duration_ms=20_000 + number % 900 * 1000, announcement=customer.announcement.id,
            announcement_version=1, announced=True, purposes=("agreement",), restricted=(),
            keep_answer=None, agreement=(None, "agreed", "refused", None)[number % 4],
            keep_until=house.clock() + timedelta(days=30), prefix=f"{customer.id}/{common['id']}/",
            manifest_sha256="ab" * 32, wrapped_key="{}",
            objects=(ObjectRow("audio.opus", "audio/ogg", 90_000),), stored_bytes=91_000,
            stored_at=house.clock(), erased_at=None, erasure_reason=None,
        )  # fmt: skip
        assert recordings.add_recording(row, **now)
        if number % 50 == 0:
            author = customer.people["claire"].id
            notes.add_label(customer.id, row.id, author, text="Order", **now)
            notes.add_note(customer.id, row.id, author, text=f"Call back about {number}", at_ms=None, **now)


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page took: ``statements`` to the catalogue, bytes of HTML, and the ``calls`` that it lists;
    ``next_page`` is the address of the next page, if there is one."""

    statements: int
    size: int
    calls: int
    next_page: str | None


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """The statements that the catalogue is sent during a block."""
    found: list[str] = []
    execute = peewee.Database.execute_sql

    def execute_and_note(self, sql, *arguments, **options):
        found.append(sql)
        return execute(self, sql, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peewee.Database, "execute_sql", execute_and_note)
        yield found


def visit(person: Browser, address: str) -> Visit:
    with counted_statements() as statements:
        page = person.get(address)
    assert page.status_code == 200, address
    calls = len(re.findall(r'<li class="call[ "]', page.text))
    found = re.search(r'href="([^"]+)" rel="next"', page.text)
    return Visit(len(statements), len(page.data), calls, html.unescape(found[1]) if found else None)


def visit_all(person: Browser, addresses: Sequence[str]) -> dict[str, Visit]:
    """Pages by their addresses and, of long lists, the two after each."""
    found = {}
    for address in addresses:
        next_page: str | None = address
        for number in range(1, 4):
            if next_page is not None:
                found[f"{address} ({number})"] = visit(person, next_page)
                next_page = found[f"{address} ({number})"].next_page
    return found


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("catalogue_kind", KINDS)
def test_pages_of_ten_thousand_calls_take_no_more_than_those_of_a_hundred(browser, house, bakery) -> None:
    company = Company(house, bakery)
    company.hire()
    searches = (
        "q=470", "q=7", "q=caller+42", "q=caller", "q=call+back", "q=colleague+7", "q=colleague",
        "when=7-days", "from=2026-10-01&to=2026-10-31", f"line={bakery.line.id}", "direction=outbound",
        "length=1-to-5", "consent=notice", "agreement=agreed", "show=not-recorded", "reason=declined",
        "noted=yes", "label=Order", "q=caller&agreement=refused&direction=inbound",
    )  # fmt: skip
    lists = ["/recordings", "/recordings?select=all", *(f"/recordings?{each}" for each in searches)]
    of_one = f"/recordings?q={caller(7).value[1:]}"
    others = (
        of_one, "/recordings?q=nobody", "/recordings?q=0999", "/recordings?held=yes", "/recordings/rates",
        "/recordings/rates?step=month", "/contacts", "/contacts?q=caller+4", "/team", "/access-log",
        "/usage", "/numbers", "/live",
    )  # fmt: skip
    person = english(browser("paul"))
    company.fill(FEW)
    few = visit_all(person, [*lists, *others])
    company.fill(MANY)
    many = visit_all(person, [*lists, *others])
    for address in lists:
        found = [many[f"{address} ({number})"] for number in (1, 2, 3)]
        assert [each.calls for each in found] == [PAGE] * 3, address
    assert many[f"{of_one} (1)"].calls == MANY // CALLERS
    assert many["/access-log (3)"].next_page
    for name, found in many.items():
        assert found.size < MOST_BYTES, name
        assert found.statements <= min(MOST_STATEMENTS, few.get(name, found).statements + SPARE), name
