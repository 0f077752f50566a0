"""Every endpoint of the panel and the API, asked by people of every role and by another customer:
``route_access.txt`` says who may."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.unit.web.access_world import (
    GUESTS,
    OBJECTS,
    PERSONAL,
    PROVIDER,
    RECORDED,
    ROLES,
    STATES,
    UNKNOWN,
    Company,
    Person,
    World,
    form_of,
    text_of,
    without_ids,
)
from web.account.limits import limiter
from web.own_call import guest_views

TABLE = Path(__file__).with_name("route_access.txt")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
MAY = "may"

WRITES = frozenset({"playback.send_audio", "offboarding.download"})
"""Endpoints that write with GET: what was listened to, and what was fetched."""

OF_CALLS = (
    "the caller", "a recording", "a live call", "a call being stored", "a note", "a label", "the number",
    "its label", "a difference",
)  # fmt: skip
"""The secrets of a company that a colleague of another number does not see."""

CUSTOMERS = frozenset({"provider.edit_country", "provider.list_customers", "provider.download_usage"})
"""Where an operator sees the names of customers."""

OF_OPERATOR = frozenset(
    {
        "provider.ask_suspension",
        "provider.edit_announcements",
        "provider.preview_announcements",
        "provider.choose_owner",
        "provider.move_number",
        "provider.rename",
        "provider.show_customer",
        "provider.suspend",
    }
)
"""Where an operator sees a customer's numbers and people, too, and nothing of its calls."""

ACCOUNT = ("the customer", "the number", "its label", "a colleague", "an invitation")
"""The secrets of a company that are none of its calls'."""

OF_SUPPORT = frozenset({"disputes.enter_room", "disputes.show_queue", "rooms.show_room"})
"""Where support sees the customer and the difference that it was called to."""

OWN_REFUSAL = frozenset({"subject_requests.check_code"})
"""Endpoints whose form is refused with 403 by whoever may use them: the code is a guess."""


@dataclass(frozen=True)
class Line:
    """A line of the table: who may, and what those get who get something of their own."""

    endpoint: str
    method: str
    who: frozenset[str]
    others: Mapping[str, str]
    any_id: bool

    def expected(self, person: Person) -> str:
        """What somebody gets with objects of their own company: ``may``, ``login``, ``401``, ``403``, or
        ``404``."""
        api = self.endpoint.startswith("api.")
        guest = person.name in GUESTS or (person.name == "program" and not api)
        for name in self._names(person, guest):
            if name in self.who:
                return MAY
            if name in self.others:
                return self.others[name]
        if api:
            return "401"
        return "login" if guest else "403"

    @staticmethod
    def _names(person: Person, guest: bool) -> tuple[str, ...]:
        if guest:
            return (person.name, "nobody", "everybody")
        if person.name == "program":
            return ("program",)
        if person.name in PROVIDER:
            return (person.name, "provider", "everybody")
        if person.name == RECORDED:
            return (person.name, "everybody")
        theirs = (f"their {person.name}",) if person.company.key == "theirs" else ()
        return (*theirs, person.name, "people", "everybody")


def read_table(text: str) -> list[Line]:
    found = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        endpoint, method, rest = line.split(maxsplit=2)
        who, _, more = rest.partition(";")
        names = [each.strip() for each in more.split(",") if each.strip()]
        others = dict(each.rsplit(" ", 1) for each in names if each != "any id")
        found.append(Line(endpoint, method, frozenset(who.split()) - {"none"}, others, "any id" in names))
    return found


LINES = read_table(TABLE.read_text("utf-8"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, real_hasher: object) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limiter, "enabled", False)
        patch.setattr(guest_views, "RESPONSE_S", 0.0)
        new_world = World(tmp_path_factory.mktemp("access"))
        yield new_world
        new_world.close()


def rules_of(app: Flask, line: Line) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules(line.endpoint) if line.method in (rule.methods or ())]


def outcome(answer: TestResponse) -> str:
    """How an answer counts: ``may``, ``login``, or its status."""
    place = answer.headers.get("Location", "")
    if answer.status_code in (302, 303):
        return "login" if re.match(r"/login($|\?)", place) else MAY
    return MAY if answer.status_code in (200, 202, 204, 206, 422) else str(answer.status_code)


def test_every_endpoint_has_a_line_and_every_line_an_endpoint(world: World) -> None:
    routed = {
        (rule.endpoint, method)
        for rule in world.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    listed = [(line.endpoint, line.method) for line in LINES]
    assert sorted(set(listed)) == sorted(listed), "a line stands there twice"
    missing, left = sorted(routed - {*listed}), sorted({*listed} - routed)
    assert (missing, left) == ([], []), f"add what is missing to {TABLE.name}, and take away what is left"


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.endpoint}-{line.method}")
def test_access(world: World, line: Line) -> None:
    wrong = []
    state = STATES.get(line.endpoint, "")
    world.begin(state)
    before = world.tables()
    for rule in rules_of(world.app, line):
        for person in world.people.values():
            wrong += check_own(world, line, rule, person, state, before)
            world.begin(state)
            wrong += check_foreign(world, line, rule, person, state)
        wrong += check_token(world, line, rule, state, before)
    assert not wrong, "\n".join(wrong)


def check_own(
    world: World, line: Line, rule: Rule, person: Person, state: str, before: Mapping[str, str]
) -> list[str]:
    """Somebody asks for what is theirs, or their company's."""
    ids = world.values(person, rule)
    answer = world.send(person, line.method, world.path(rule, ids), form_of(world, line.endpoint, person))
    expected, found = expected_of(line, person), outcome(answer)
    who = f"{person.company.key} {person.name}"
    if expected == "enrol":
        found = "enrol" if answer.headers.get("Location") == "/account" else found
    if found == "403" and expected == MAY and line.endpoint in OWN_REFUSAL:
        found = MAY
    wrong = [] if found == expected else [f"{who}: {found}, not {expected}"]
    writes = (expected == MAY and line.method in UNSAFE) or line.others.get("everybody") == "login"
    if not writes and line.endpoint not in WRITES:
        wrong += changes(world, who, before)
    wrong += shown_secrets(world, person, who, line.endpoint, ids, answer)
    world.begin(state)
    return wrong


def expected_of(line: Line, person: Person) -> str:
    """Whoever must set up a second factor first may do that alone, and log out."""
    if person.name != "enrolling":
        return line.expected(person)
    admin = line.expected(Person("admin", person.company, person.user, {}, ""))
    colleague = line.expected(Person("colleague", person.company, person.user, {}, ""))
    if line.endpoint.startswith("account.") and admin == colleague:
        return admin
    return MAY if line.endpoint.startswith(("static", "language.", "health.", "brand.")) else "enrol"


def changes(world: World, who: str, before: Mapping[str, str]) -> list[str]:
    if not world.was_written:
        return []
    after = world.tables()
    return [f"{who}: {name} changed" for name in before if after.get(name) != before[name]]


def shown_secrets(
    world: World, person: Person, who: str, endpoint: str, form_data: Mapping[str, Any], answer: TestResponse
) -> list[str]:
    """What an answer shows of another company, or of calls that somebody does not see."""
    if "token" in form_data:
        return []  # whoever has a link sees whom it is for
    others = {f"their {what}": each for what, each in world.theirs.secrets.items()}
    secrets_of_others = others if person.company is world.ours else dict(world.ours.secrets)
    if person.name in ("nobody", "ended", "waiting", *PROVIDER):
        secrets_of_others |= world.ours.secrets
    if endpoint in CUSTOMERS and person.name == "operator":
        names = {"the customer", "their the customer"}
        secrets_of_others = {what: each for what, each in secrets_of_others.items() if what not in names}
    if endpoint in OF_OPERATOR and person.name == "operator":
        names = {f"{of}{what}" for of in ("", "their ") for what in ACCOUNT}
        secrets_of_others = {what: each for what, each in secrets_of_others.items() if what not in names}
    if person.name == "elsewhere":
        secrets = person.company.secrets
        secrets_of_others |= {each: secrets[each] for each in OF_CALLS}
    if person.name == RECORDED:
        own = ("the customer", "a difference", "a colleague")
        secrets = person.company.secrets
        secrets_of_others |= {what: each for what, each in secrets.items() if what not in own}
    if person.name == "support" and endpoint in OF_SUPPORT:
        names = {f"{of}{what}" for of in ("", "their ") for what in ("the customer", "a difference")}
        secrets_of_others = {what: each for what, each in secrets_of_others.items() if what not in names}
    text = re.sub(r"\s", "", text_of(answer))
    sent_ids = {str(each) for each in form_data.values()}
    return [
        f"{who}: sees {what}"
        for what, secret in secrets_of_others.items()
        if secret not in sent_ids and re.sub(r"\s", "", secret) in text
    ]


def check_foreign(world: World, line: Line, rule: Rule, person: Person, state: str) -> list[str]:
    """Somebody asks for the other company's object, or for a colleague's: each answer is the same as for an
    id that does not exist, and, unless their role is refused anyway, 404."""
    wrong, expected = [], expected_of(line, person)
    if expected in ("login", "401", "enrol") or person.name in GUESTS or line.any_id:
        return []
    # The number of an entry is a place in one's own log, whoever else's log has as many.
    for each in sorted(rule.arguments & {*OBJECTS} - {"number"}):
        for owner in foreign_owners(world, person, each):
            ids = world.values(person, rule)
            theirs = {**ids, each: owner_ids(world, owner, rule, each)}
            unknown = {**ids, each: UNKNOWN}
            form = form_of(world, line.endpoint, person)
            answers = []
            for identifier in (theirs, unknown):
                answers.append(world.send(person, line.method, world.path(rule, identifier), form))
                wrong += shown_secrets(
                    world, person, f"{person.name} with {each}", line.endpoint, identifier, answers[-1]
                )
                world.begin(state)
            who = f"{person.company.key} {person.name} with {each} of {owner[0].key} {owner[1]}"
            if without_ids(answers[0], theirs) != without_ids(answers[1], unknown):
                wrong.append(f"{who}: not the same as for an unknown id")
            allowed = {"404"} if expected in (MAY, "404") else {"404", expected}
            if outcome(answers[0]) not in allowed:
                wrong.append(f"{who}: {outcome(answers[0])}, not 404")
    return wrong


Owner = tuple[Company, str]


def foreign_owners(world: World, person: Person, argument: str) -> list[Owner]:
    other = world.theirs if person.company is world.ours else world.ours
    owners = [(other, "colleague")] if person.name in (*ROLES, "program") and other is world.ours else []
    if argument in PERSONAL and person.name in ("admin", *PROVIDER):
        owners.append((person.company, "colleague"))
    return owners


def owner_ids(world: World, owner: Owner, rule: Rule, argument: str) -> Any:
    company, name = owner
    return world.values(Person(name, company, None, {}, ""), rule, None)[argument]


def check_token(world: World, line: Line, rule: Rule, state: str, before: Mapping[str, str]) -> list[str]:
    """A form without its token is refused and changes nothing."""
    if line.method not in UNSAFE or line.endpoint.startswith("api."):
        return []
    allowed = (each for each in world.people.values() if line.expected(each) in (MAY, "login") and each.token)
    person = next(allowed, None)
    if person is None:
        return []
    path = world.path(rule, world.values(person, rule))
    answer = world.send(person, line.method, path, form_of(world, line.endpoint, person), token=False)
    wrong = [] if answer.status_code == 400 else [f"without a token: {answer.status_code}"]
    wrong += changes(world, "without a token", before)
    world.begin(state)
    return wrong


def test_only_the_roles_of_the_table_exist() -> None:
    from recorder.domain.roles import PROVIDER_ROLES
    from recorder.domain.roles import ROLES as KNOWN

    assert {*ROLES.values()} == {*KNOWN}, "the table has no column for a new role"
    assert {*PROVIDER.values()} == {*PROVIDER_ROLES}, "the table has no column for a new role"
