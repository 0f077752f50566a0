"""Plans: what a customer may choose and use, as data (``plans.toml``), and which plan a customer has.

The customer's log says which plan is in force, not its row. A plan limits choices when they are made, and the
formats in which new calls are stored; it never shortens what was announced, agreed or is kept.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, tenant_lock
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.catalogue.change_counter import LINES, increment
from recorder.catalogue.database import forget, read_once
from recorder.catalogue.records import FORMATS
from recorder.catalogue.tables.tenant import TenantTable
from recorder.errors import CatalogueError, ConfigError
from recorder.fault_log import FaultLog
from recorder.ids import Entropy

STARTER: Final = "starter"
FILE: Final = Path(__file__).with_name("plans.toml")

DOWNLOAD: Final = "download"
EXPORT: Final = "export"
API: Final = "api"
FEATURES: Final = (DOWNLOAD, EXPORT, API)
"""What a plan can include: recordings as files, lists as CSV, and access for programs."""

CREATED: Final = "tenant.created"
CHANGED: Final = "tenant.plan_changed"

_faults: Final = FaultLog()


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    features: list[str]
    longest_keep_days: Annotated[int, Field(ge=0)]
    formats: Annotated[list[str], Field(min_length=1)]
    name: dict[str, Annotated[str, Field(min_length=1, max_length=40)]] = {}


@dataclass(frozen=True, slots=True)
class CustomerPlan:
    """A plan: its ``features``, the longest retention that may be chosen (``None``: not limited), the formats
    in which new calls can be stored, the usual one first, and its names by language."""

    code: str
    features: frozenset[str]
    longest_keep_days: int | None
    formats: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, language: str) -> str:
        """The plan's name in a language, or else in English, or else its code."""
        return self.names.get(language) or self.names.get("en") or self.code

    def stored_formats(self, choice: Sequence[str]) -> tuple[str, ...]:
        """The formats in which a call is stored: those of the ``choice`` that the plan has, or else its usual
        one."""
        return tuple(each for each in choice if each in self.formats) or self.formats[:1]

    def allows_days(self, keep_days: int) -> bool:
        """Whether a retention may be chosen."""
        return self.longest_keep_days is None or keep_days <= self.longest_keep_days


@dataclass
class _Known:
    plans: Mapping[str, CustomerPlan] = field(default_factory=dict)


_known: Final = _Known()
"""The plans of this process."""


def use_file(path: Path | None) -> None:
    """Use the plans of a file in this process (``None``: the shipped ones).  Raises as :func:`load_plans`."""
    _known.plans = load_plans(path or FILE)


def plans() -> Mapping[str, CustomerPlan]:
    """The plans by code."""
    if not _known.plans:
        use_file(None)
    return _known.plans


def load_plans(path: Path) -> Mapping[str, CustomerPlan]:
    """Read a file of plans.  Raises :class:`ConfigError` (``plans.broken``) naming what is wrong."""
    try:
        body = TypeAdapter(dict[str, _Plan]).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
        for code, each in body.items():
            _check_known(code, "format", each.formats, FORMATS)
            _check_known(code, "feature", each.features, FEATURES)
        if STARTER not in body:
            raise ValueError(f"there is no plan {STARTER!r}")
    except (OSError, ValueError, ValidationError) as error:
        raise ConfigError(
            "plans.broken", f"{path} cannot be used: {error}", "compare it with the file that was installed"
        ) from error
    return {
        code: CustomerPlan(
            code,
            frozenset(each.features),
            each.longest_keep_days or None,
            tuple(dict.fromkeys(each.formats)),
            each.name,
        )
        for code, each in body.items()
    }


def _check_known(code: str, what: str, codes: Sequence[str], known: Sequence[str]) -> None:
    if others := sorted({*codes} - {*known}):
        raise ValueError(f"plan {code!r} has an unknown {what} {others[0]!r}; known: {', '.join(known)}")


def find_plan(code: str) -> CustomerPlan:
    """A plan.  Raises :class:`CatalogueError` (``tenant.plan``)."""
    found = plans().get(code)
    if found is None:
        raise CatalogueError("tenant.plan", f"there is no plan {code!r}", f"one of {', '.join(plans())}")
    return found


def plan_code(tenant: str) -> str:
    """The code of a customer's plan, according to the log."""
    return read_once("plan", tenant, lambda: _read_plan(tenant))


def _read_plan(tenant: str) -> str:
    return code_in(leaf_lookup.find_permissions(tenant, CREATED, CHANGED))


def code_in(leaves: Iterable[LoggedLeaf]) -> str:
    """The code of a customer's plan, according to its leaves, of whatever kinds."""
    creation = [each for each in leaves if each.kind == CREATED]
    latest = [each for each in leaves if each.kind == CHANGED] or creation
    return str(latest[-1].body.get("plan", STARTER)) if latest else STARTER


def plan_of(tenant: str) -> CustomerPlan:
    """A customer's plan, according to the log; the starter plan if the file has theirs no longer, which
    ``accord doctor`` reports: calls are recorded and pages work meanwhile."""
    return plan_called(plan_code(tenant), tenant)


def plan_called(code: str, tenant: str) -> CustomerPlan:
    """The same by the code of the customer's plan."""
    found = plans().get(code)
    if found is not None:
        _faults.recover("plan.unknown", tenant, tenant=tenant)
        return found
    _faults.report(
        "plan.unknown",
        f"there is no plan {code!r}: the customer has the starter plan meanwhile",
        tenant,
        level="error",
        tenant=tenant,
        hint="`accord tenant set TENANT --plan CODE` gives the customer another one",
    )
    return plans()[STARTER]


def change_plan(tenant: str, code: str, *, now: datetime, entropy: Entropy) -> bool:
    """Give a customer another plan. New calls are stored in its formats; what was announced, agreed or is
    kept stays. False if it has that plan. Raises :class:`CatalogueError` (``tenant.plan``,
    ``tenant.unknown``)."""
    plan = find_plan(code)
    with tenant_lock(tenant):
        was = plan_code(tenant)
        if was == plan.code:
            return False
        TenantTable.update(plan=plan.code).where(TenantTable.id == tenant).execute()
        append(tenant, CHANGED, {"tenant": tenant, "plan": plan.code, "plan_was": was}, now, entropy)
        forget("plan", tenant)
        increment(LINES, tenant)
    return True


def choose_formats(tenant: str, choice: Sequence[str]) -> tuple[str, ...]:
    """The formats that were chosen for a customer's recordings; if none was, its plan's usual one. Raises
    :class:`CatalogueError` (``plan.format``) for one that the plan does not have."""
    plan = plan_of(tenant)
    if others := [each for each in choice if each not in plan.formats]:
        raise CatalogueError(
            "plan.format",
            f"{others[0]} is not part of the plan {plan.code!r}, which stores {' and '.join(plan.formats)}",
            "`accord tenant set --plan` gives the customer another plan",
        )
    return tuple(dict.fromkeys(choice)) or plan.formats[:1]


def check_keep_days(tenant: str, keep_days: int) -> None:
    """Raises :class:`CatalogueError` (``plan.keep_days``) for more retention than a customer's plan has."""
    require_days(plan_of(tenant), keep_days)


def require_days(plan: CustomerPlan, keep_days: int) -> None:
    """Raises :class:`CatalogueError` (``plan.keep_days``) for more retention than a plan has."""
    if not plan.allows_days(keep_days):
        raise CatalogueError(
            "plan.keep_days",
            f"the plan {plan.code!r} has at most {plan.longest_keep_days} days of retention, not {keep_days}",
            "choose fewer days; `accord tenant set --plan` gives the customer another plan",
        )


def check_feature(tenant: str, feature: str) -> None:
    """Raises :class:`CatalogueError` (``plan.feature``) for a feature that a customer's plan lacks."""
    plan = plan_of(tenant)
    if feature not in plan.features:
        raise CatalogueError(
            "plan.feature",
            f"{feature} is not part of the plan {plan.code!r}",
            "`accord tenant set --plan` gives the customer another plan",
        )
