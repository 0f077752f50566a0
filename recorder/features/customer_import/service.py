"""Carries out a planned import, in batches: each is written whole or not at all, and one that fails is
written again step by step, so that a single refusal costs the others nothing.

A second run compares again and so goes on where the first one was interrupted. The operations are those of
the panel and the command line, which check everything again and write the same leaves and statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from peewee import IntegrityError

from recorder.catalogue.database import batch
from recorder.catalogue.records import TenantRow
from recorder.domain import phone_numbers
from recorder.errors import AccordError, CatalogueError
from recorder.features.customer_import.entries import CustomerValues
from recorder.features.customer_import.plan import (
    AnnouncedSettings,
    CustomerStep,
    CustomerSteps,
    Difference,
    NumberStep,
    PersonStep,
)
from recorder.features.customer_import.table import TableMistake

BATCH: Final = 300
"""Steps in one transaction: about a quarter of a second, in which others cannot write; it waits for the disk
once."""

StepState = Literal["created", "updated", "proposed", "unchanged", "different", "refused"]

CREATED: Final[StepState] = "created"
UPDATED: Final[StepState] = "updated"
PROPOSED: Final[StepState] = "proposed"
"""It promises callers more, and waits for a yes of the customer's admins."""
UNCHANGED: Final[StepState] = "unchanged"
DIFFERENT: Final[StepState] = "different"
REFUSED: Final[StepState] = "refused"
STATES: Final[tuple[StepState, ...]] = (CREATED, UPDATED, PROPOSED, UNCHANGED, DIFFERENT, REFUSED)

Part = CustomerStep | NumberStep | PersonStep
PARTS: Final[dict[type[Part], str]] = {CustomerStep: "tenant", NumberStep: "number", PersonStep: "person"}


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What became of a step: of a customer, a number or a person (``part``). ``findings`` say what differs
    and was left alone or proposed, or why it was refused."""

    line: int
    part: str
    state: StepState
    findings: tuple[TableMistake, ...] = ()


@dataclass(frozen=True, slots=True)
class InvitationLink:
    """A link that is passed on, because it is not mailed: where it leads in the panel."""

    customer: str
    address: str
    name: str
    path: str


class CustomerOperations(Protocol):
    """What an import does; each raises :class:`AccordError`, and changes nothing then."""

    def begin_batch(self) -> None:
        """Called inside each transaction, first."""

    def create_customer(self, values: CustomerValues) -> TenantRow: ...
    def change_customer(self, tenant: TenantRow, values: CustomerValues) -> None: ...

    def add_line(
        self, tenant: TenantRow, number: str, settings: AnnouncedSettings, label: str, recorded: bool
    ) -> str:
        """Returns the line's id."""

    def change_line(self, tenant: TenantRow, line: str, settings: AnnouncedSettings) -> bool:
        """Returns whether it is only proposed to the customer's admins. Called outside a batch."""

    def invite(self, tenant: TenantRow, person: PersonStep, lines: Sequence[str] | None) -> str | None:
        """Returns the path of the link that must be passed on; ``None`` if it is mailed."""

    def change_access(
        self,
        tenant: TenantRow,
        user: str,
        role: str,
        lines: Sequence[str] | None,
        extensions: Sequence[str] | None,
    ) -> None: ...

    def write_links(self, links: Sequence[InvitationLink]) -> None:
        """Called inside the transaction, last: no link is lost, and one too many opens nothing."""


@dataclass(frozen=True, slots=True)
class _Progress:
    """The tenants by the line of their customer, and the lines by that line and canonical number."""

    tenants: dict[int, TenantRow] = field(default_factory=dict)
    lines: dict[tuple[int, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustomerImport:
    """Carries out the steps of customers; with ``update`` also the changes."""

    operations: CustomerOperations
    update: bool = False

    def run(self, customers: Sequence[CustomerSteps]) -> Iterator[StepOutcome]:
        """What becomes of each step, as soon as it is written. Raises :class:`CatalogueError`
        (``catalogue.away``)."""
        progress = _Progress()
        queue: list[tuple[CustomerSteps, Part]] = []
        for customer in customers:
            _prepare(customer, progress)
            for step in customer.steps:
                outcome = plan_outcome(step, self.update)
                if outcome.state not in (CREATED, UPDATED):
                    yield outcome
                    continue
                known = _known_line(customer, step)
                if known is None:
                    queue.append((customer, step))
                if known is not None or len(queue) == BATCH:
                    yield from self._write(queue, progress)
                    queue.clear()
                if known is not None:
                    # Not in a batch, which could not undo the attempt at what is then proposed.
                    yield _change_line(known, step, self.update, self.operations.change_line)
        yield from self._write(queue, progress)

    def _write(self, steps: Sequence[tuple[CustomerSteps, Part]], progress: _Progress) -> list[StepOutcome]:
        try:
            return self._write_batch(steps, progress)
        except (AccordError, IntegrityError) as error:
            refused = _refused_outcome(steps[0][1], error)
            if len(steps) != 1:
                return [each for step in steps for each in self._write([step], progress)]
        return [refused]

    def _write_batch(
        self, steps: Sequence[tuple[CustomerSteps, Part]], progress: _Progress
    ) -> list[StepOutcome]:
        if not steps:
            return []
        after = _Progress({**progress.tenants}, {**progress.lines})
        outcomes: list[StepOutcome] = []
        links: list[InvitationLink] = []
        with batch():
            self.operations.begin_batch()
            for customer, step in steps:
                match step:
                    case CustomerStep():
                        self._write_customer(step, after)
                    case NumberStep():
                        self._add_line(customer, step, after)
                    case PersonStep():
                        links += self._write_person(customer, step, after)
                outcomes.append(plan_outcome(step, self.update))
            if links:
                self.operations.write_links(links)
        progress.tenants.update(after.tenants)
        progress.lines.update(after.lines)
        return outcomes

    def _write_customer(self, step: CustomerStep, progress: _Progress) -> None:
        if step.tenant is None:
            progress.tenants[step.line] = self.operations.create_customer(step.values)
        else:
            self.operations.change_customer(step.tenant, step.values)

    def _add_line(self, customer: CustomerSteps, step: NumberStep, progress: _Progress) -> None:
        tenant = _tenant(customer, progress)
        line = self.operations.add_line(tenant, step.number, step.settings, step.label, step.recorded)
        country = customer.customer.values.country
        number = phone_numbers.to_canonical(step.number, country) or step.number
        progress.lines[customer.customer.line, number] = line

    def _write_person(
        self, customer: CustomerSteps, step: PersonStep, progress: _Progress
    ) -> Iterator[InvitationLink]:
        tenant, lines = _tenant(customer, progress), _lines(customer, step, progress)
        if (known := step.known) is not None:
            visible_lines = known.lines if lines is None else lines
            self.operations.change_access(tenant, known.user, step.role, visible_lines, step.extensions)
        elif (path := self.operations.invite(tenant, step, lines)) is not None:
            yield InvitationLink(tenant.name, step.address, step.name, path)


ChangeLine = Callable[[TenantRow, str, AnnouncedSettings], bool]
"""Changes a customer's line (by its id), or would; returns whether that is only proposed. Raises
:class:`AccordError` where it is refused."""


def check_steps(
    customers: Sequence[CustomerSteps], update: bool, try_change: ChangeLine
) -> Iterator[StepOutcome]:
    """What would become of each step; ``try_change`` changes nothing. Raises :class:`CatalogueError`
    (``catalogue.away``)."""
    for customer in customers:
        for step in customer.steps:
            outcome, known = plan_outcome(step, update), _known_line(customer, step)
            if known is not None and outcome.state == UPDATED:
                outcome = _change_line(known, step, update, try_change)
            yield outcome


@dataclass(frozen=True, slots=True)
class _KnownLine:
    """A line that the catalogue has, by its id, with what it is to announce."""

    tenant: TenantRow
    id: str
    settings: AnnouncedSettings


def _known_line(customer: CustomerSteps, step: Part) -> _KnownLine | None:
    tenant = customer.customer.tenant
    if tenant is None or not isinstance(step, NumberStep) or step.known is None:
        return None
    return _KnownLine(tenant, step.known.id, step.settings)


def _change_line(known: _KnownLine, step: Part, update: bool, change: ChangeLine) -> StepOutcome:
    try:
        is_proposed = change(known.tenant, known.id, known.settings)
    except AccordError as error:
        return _refused_outcome(step, error)
    return plan_outcome(step, update, is_proposed=is_proposed)


def plan_outcome(step: Part, update: bool, *, is_proposed: bool = False) -> StepOutcome:
    """What is to become of a step; with ``update``, what can be changed is, or is proposed."""
    state = PROPOSED if is_proposed else _planned_state(step, update)
    rest = (each for each in step.differences if state != UPDATED or each.obstacle)
    difference = _proposed if is_proposed else _difference
    findings = tuple(TableMistake(step.line, each.column, difference(each)) for each in rest)
    return StepOutcome(step.line, PARTS[type(step)], state, findings)


def _refused_outcome(step: Part, error: AccordError | IntegrityError) -> StepOutcome:
    refused = TableMistake(step.line, "", _refusal(error))
    return StepOutcome(step.line, PARTS[type(step)], REFUSED, (refused,))


def _planned_state(step: Part, update: bool) -> StepState:
    known = step.tenant if isinstance(step, CustomerStep) else step.known
    if known is None:
        return CREATED
    if not step.differences:
        return UNCHANGED
    changeable = any(not each.obstacle for each in step.differences)
    return UPDATED if update and changeable else REFUSED if update else DIFFERENT


def _difference(each: Difference) -> CatalogueError:
    return CatalogueError(
        "customer_import.different",
        f"the {each.column} is {each.current!r}, not {each.stated!r}",
        each.obstacle or "--update changes it",
    )


def _proposed(each: Difference) -> CatalogueError:
    if each.obstacle:
        return _difference(each)
    return CatalogueError(
        "customer_import.proposed",
        f"the {each.column} is {each.current!r}; {each.stated!r} promises callers more, and is proposed",
        "one of the customer's admins accepts it in the panel, under Numbers",
    )


def _prepare(customer: CustomerSteps, progress: _Progress) -> None:
    line = customer.customer.line
    if customer.customer.tenant is not None:
        progress.tenants[line] = customer.customer.tenant
    progress.lines.update({(line, number): each for number, each in customer.lines.items()})


def _tenant(customer: CustomerSteps, progress: _Progress) -> TenantRow:
    found = progress.tenants.get(customer.customer.line)
    if found is None:
        raise CatalogueError(
            "customer_import.customer_refused",
            "its customer was refused",
            "correct that first, and run again",
        )
    return found


def _lines(customer: CustomerSteps, step: PersonStep, progress: _Progress) -> list[str] | None:
    """The ids of the lines whose calls somebody is to see."""
    if step.numbers is None:
        return None
    found = [progress.lines.get((customer.customer.line, each)) for each in step.numbers]
    if None in found:
        raise CatalogueError(
            "user.lines", "one of the numbers was refused", "correct that first, and run again"
        )
    return [each for each in found if each is not None]


def _refusal(error: AccordError | IntegrityError) -> AccordError:
    """What is refused for good. Raises again what concerns all steps."""
    if not isinstance(error, AccordError):
        return CatalogueError(
            "customer_import.conflict", f"the catalogue refuses it: {error}", "run the command again"
        )
    if error.error_id == "catalogue.away":
        raise error
    return error
