"""What an import is to do: a table compared with the catalogue, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from recorder.catalogue.records import TenantRow
from recorder.domain import names, phone_numbers
from recorder.domain.roles import CUSTOMER
from recorder.errors import AccordError, CatalogueError
from recorder.features.customer_import.entries import (
    CustomerEntry,
    CustomerValues,
    NumberEntry,
    PersonEntry,
    read_parts,
)
from recorder.features.customer_import.queries import KnownCustomers, KnownNumber, KnownPerson
from recorder.features.customer_import.table import TableMistake
from recorder.identity import users

CHANGEABLE: Final = ("country", "language", "plan")
"""Columns of a customer that an import can change; of a number, what it announces; of a person with access,
the role, the numbers and the extensions."""


@dataclass(frozen=True, slots=True)
class AnnouncedSettings:
    """What a line announces: the first language first, a mode, purposes, and the retention (days)."""

    languages: tuple[str, ...]
    mode: str
    purposes: tuple[str, ...]
    keep_days: int


CompleteSettings = Callable[[CustomerValues, NumberEntry], AnnouncedSettings]
"""Completes what a table states of a number with the defaults, and checks it. Raises :class:`AccordError`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What the table states otherwise than the catalogue. ``obstacle``: why an import does not change it;
    empty if it can."""

    column: str
    current: str
    stated: str
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class CustomerStep:
    """A customer to create, or (``tenant``) to compare."""

    line: int
    values: CustomerValues
    tenant: TenantRow | None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class NumberStep:
    """A number to add, or (``known``) to compare."""

    line: int
    number: str
    label: str
    settings: AnnouncedSettings
    recorded: bool
    known: KnownNumber | None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class PersonStep:
    """Somebody to invite, or (``known``) to compare. ``numbers`` are the only ones whose calls they see, in
    canonical form (``None``: all, or as they are). ``extensions`` are ``None`` where none are stated."""

    line: int
    address: str
    name: str
    role: str
    language: str
    numbers: tuple[str, ...] | None
    extensions: tuple[str, ...] | None
    known: KnownPerson | None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomerSteps:
    """The steps of one customer, in their order. ``lines`` are the ids of its numbers that there are, by
    their canonical form."""

    customer: CustomerStep
    numbers: tuple[NumberStep, ...]
    people: tuple[PersonStep, ...]
    lines: dict[str, str]

    @property
    def steps(self) -> tuple[CustomerStep | NumberStep | PersonStep, ...]:
        return (self.customer, *self.numbers, *self.people)


@dataclass
class Planner:
    """Plans an import. ``defaults`` are the values of new customers for which the table has none; with
    ``update``, what differs is changed; ``as_routed`` numbers keep their digits; those of ``never_record``
    are refused."""

    known: KnownCustomers
    defaults: CustomerValues
    complete: CompleteSettings
    update: bool = False
    as_routed: bool = False
    never_record: Sequence[str] = ()
    mistakes: list[TableMistake] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _addresses: dict[str, int] = field(default_factory=dict)

    def plan(self, entries: Iterable[CustomerEntry]) -> list[CustomerSteps]:
        """The steps for each customer; what is wrong is in ``mistakes``, by line."""
        plans = [plan for entry in entries if (plan := self._plan(entry)) is not None]
        self.mistakes.sort(key=lambda each: each.line)
        return plans

    def _plan(self, entry: CustomerEntry) -> CustomerSteps | None:
        same_name = self.known.customers.get(names.fold(entry.name), [])
        tenant = same_name[0] if same_name else None
        error = None
        if len(same_name) > 1:
            error = CatalogueError(
                "tenant.ambiguous",
                f"several customers are called {entry.name!r}",
                "`accord tenant list` shows them: rename all but one",
            )
        elif tenant is not None and tenant.id in self.known.offboarding:
            error = CatalogueError(
                "tenant.offboarding_announced",
                f"{tenant.name} leaves, or has left: nothing more is recorded for it",
                "remove its rows",
            )
        if error is not None:
            self.mistakes.append(TableMistake(entry.line, "tenant", error))
            return None
        differences: tuple[Difference, ...] = ()
        if tenant is None:
            values = self._new_values(entry)
        else:
            values = _values(tenant)
            differences = tuple(_customer_differences(values, entry))
            if self.update:
                changes = {each: entry.stated[each] for each in CHANGEABLE if each in entry.stated}
                values = replace(values, **changes)
        self.mistakes += read_parts(entry, values.country, self.as_routed, self.never_record)
        customer = CustomerStep(entry.line, values, tenant, differences)
        known = self.known.numbers_of.get(tenant.id, {}) if tenant is not None else {}
        numbers = tuple(self._numbers_of(entry, values, tenant))
        lines = {number: each.id for number, each in known.items()}
        own = {*lines, *(self._canonical(each.number, values) for each in entry.numbers)}
        people = tuple(self._people_of(entry, values, tenant, own, lines))
        return CustomerSteps(customer, numbers, people, lines)

    def _new_values(self, entry: CustomerEntry) -> CustomerValues:
        """A customer's language is the first that its lines may speak, and the other way round."""
        stated: dict[str, Any] = {"name": entry.name, **entry.stated}
        if "languages" in stated:
            stated.setdefault("language", stated["languages"][0])
        elif "language" in stated:
            stated["languages"] = (stated["language"],)
        return replace(self.defaults, **stated)

    def _numbers_of(
        self, entry: CustomerEntry, values: CustomerValues, tenant: TenantRow | None
    ) -> Iterator[NumberStep]:
        for each in entry.numbers:
            canonical = self._canonical(each.number, values)
            known = self.known.numbers.get(canonical)
            if self._is_repeated(self._numbers, canonical, each.line, "number"):
                continue
            if known is not None and (tenant is None or known.tenant != tenant.id):
                error = CatalogueError(
                    "line.taken",
                    f"{each.number} is already recorded for another customer",
                    "use `accord line move` to give it to another customer",
                )
                self.mistakes.append(TableMistake(each.line, "number", error))
                continue
            differences = () if known is None else tuple(_number_differences(each, known))
            try:
                settings = self._settings(each, values, known, differences)
            except AccordError as error:
                self.mistakes.append(TableMistake(each.line, _column(error, each), error))
                continue
            yield NumberStep(
                each.line, each.number, each.label or "", settings, bool(each.recorded), known, differences
            )

    def _settings(
        self,
        entry: NumberEntry,
        values: CustomerValues,
        known: KnownNumber | None,
        differences: Sequence[Difference],
    ) -> AnnouncedSettings:
        if known is None:
            return self.complete(values, entry)
        if self.update and any(not each.obstacle for each in differences):
            return self.complete(values, _with_current(entry, known))
        return AnnouncedSettings(known.languages, known.mode, known.purposes, known.keep_days)

    def _people_of(
        self,
        entry: CustomerEntry,
        values: CustomerValues,
        tenant: TenantRow | None,
        own: set[str],
        lines: dict[str, str],
    ) -> Iterator[PersonStep]:
        team = self.known.people.get(tenant.id, []) if tenant is not None else []
        by_address = {each.address: each for each in team}
        by_name = {names.fold(each.name): each.address for each in team}
        stated = {each.address for each in entry.people if each.extensions is not None}
        # Whose row states other extensions may leave one to a colleague.
        line_of = {number: 0 for each in team if each.address not in stated for number in each.extensions}
        for each in entry.people:
            if self._is_repeated(self._addresses, each.address, each.line, "address"):
                continue
            name, known = each.name or each.address, by_address.get(each.address)
            numbers = None
            if each.numbers is not None:
                numbers = tuple(self._canonical(number, values) for number in each.numbers)
            error = self._objection(each, tenant, own, numbers)
            same_name = by_name.get(names.fold(name), each.address) != each.address
            if known is None and error is None and same_name:
                error = "person", users.name_exists(name)
            by_name.setdefault(names.fold(name), each.address)
            if error is None:
                error = _extension_objection(each, line_of)
            if error is not None:
                self.mistakes.append(TableMistake(each.line, *error))
                continue
            role = each.role or (CUSTOMER if known is None else known.role)
            differences = () if known is None else tuple(_person_differences(each, known, numbers, lines))
            yield PersonStep(
                each.line, each.address, name, role, each.language or values.language,
                numbers if role == CUSTOMER else None, each.extensions, known, differences,
            )  # fmt: skip

    def _objection(
        self, each: PersonEntry, tenant: TenantRow | None, own: set[str], numbers: tuple[str, ...] | None
    ) -> tuple[str, CatalogueError] | None:
        elsewhere = self.known.log_ins.get(each.address)
        if elsewhere is not None and (tenant is None or elsewhere != tenant.id):
            return "address", CatalogueError(
                "user.exists",
                f"somebody at another customer logs in as {each.address!r}",
                "choose another address",
            )
        if unknown := [number for number in numbers or () if number not in own]:
            return "person_numbers", CatalogueError(
                "user.lines", f"this customer has no number {unknown[0]}", "add a row for the number"
            )
        return None

    def _is_repeated(self, lines: dict[str, int], value: str, line: int, column: str) -> bool:
        first = lines.setdefault(value, line)
        if first == line:
            return False
        self.mistakes.append(TableMistake(line, column, _repeated(value, first)))
        return True

    def _canonical(self, number: str, values: CustomerValues) -> str:
        return phone_numbers.to_canonical(number, values.country) or number


def _repeated(value: str, line: int) -> CatalogueError:
    return CatalogueError(
        "customer_import.repeated", f"{value} is in line {line} already", "remove one of the rows"
    )


def _extension_objection(each: PersonEntry, line_of: dict[str, int]) -> tuple[str, CatalogueError] | None:
    """Why somebody cannot have an extension. The others are added to ``line_of``, with the line that states
    them; 0 is for those of colleagues of whom the table states none."""
    for number in each.extensions or ():
        if (line := line_of.setdefault(number, each.line)) == each.line:
            continue
        if line:
            error = _repeated(number, line)
        else:
            error = CatalogueError(
                "extension.taken", f"{number} is the extension of a colleague", "take it from them first"
            )
        return "extensions", error
    return None


_COLUMN_OF: Final = {
    "line.settings": "mode", "country.mode": "mode", "line.languages": "number_languages",
    "announcement.purposes": "purposes", "announcement.keep_days": "keep_days",
    "country.keep_days": "keep_days", "plan.keep_days": "keep_days",
}  # fmt: skip


def _column(error: AccordError, entry: NumberEntry) -> str:
    """The column that an error of a number's settings is about."""
    known = _COLUMN_OF.get(error.error_id)
    return known or ("keep_days" if entry.keep_days is not None else "number")


def _values(tenant: TenantRow) -> CustomerValues:
    return CustomerValues(
        tenant.name, tenant.country, tenant.language, tenant.languages, tenant.time_zone, tenant.plan
    )


def _customer_differences(now: CustomerValues, entry: CustomerEntry) -> Iterator[Difference]:
    for column, stated in entry.stated.items():
        if (current := getattr(now, column)) != stated:
            obstacle = "" if column in CHANGEABLE else "it is set when the customer is created"
            yield Difference(column, _text(current), _text(stated), obstacle)


def _with_current(entry: NumberEntry, known: KnownNumber) -> NumberEntry:
    """What is stated of a number, and for the rest what it announces now."""
    return replace(
        entry,
        languages=entry.languages or known.languages,
        mode=entry.mode or known.mode,
        purposes=entry.purposes or known.purposes,
        keep_days=known.keep_days if entry.keep_days is None else entry.keep_days,
    )


def _number_differences(entry: NumberEntry, known: KnownNumber) -> Iterator[Difference]:
    own = "it announces the customer's own words: change it in the panel" if known.custom else ""
    pairs: tuple[tuple[str, Any, Any, str], ...] = (
        ("label", known.label, entry.label, "a label is given when the number is added"),
        ("number_languages", known.languages, entry.languages, own),
        ("mode", known.mode, entry.mode, own),
        ("purposes", tuple(sorted(known.purposes)), entry.purposes and tuple(sorted(entry.purposes)), own),
        ("keep_days", known.keep_days, entry.keep_days, own),
        ("recorded", known.recorded, entry.recorded, "the customer switches it on and off in the panel"),
    )
    for column, current, stated, obstacle in pairs:
        if stated is not None and stated != current:
            yield Difference(column, _text(current), _text(stated), obstacle)


def _person_differences(
    entry: PersonEntry, known: KnownPerson, numbers: Sequence[str] | None, lines: dict[str, str]
) -> Iterator[Difference]:
    obstacle = (
        "" if known.user else "the invitation is signed: withdraw it, `accord user revoke`, and run again"
    )
    role = entry.role or known.role
    if role != known.role:
        yield Difference("role", known.role, role, obstacle)
    if entry.extensions is not None and {*entry.extensions} != {*known.extensions}:
        yield Difference("extensions", _text(sorted(known.extensions)), _text(entry.extensions), obstacle)
    if numbers is None or role != CUSTOMER:
        return
    number_of = {line: number for number, line in lines.items()}
    current = None if known.lines is None else sorted(number_of.get(each, each) for each in known.lines)
    if current != sorted({*numbers}):
        yield Difference(
            "person_numbers", "all" if current is None else _text(current), _text(numbers), obstacle
        )


def _text(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple() | list():
            return " ".join(map(str, value))
        case _:
            return str(value)
