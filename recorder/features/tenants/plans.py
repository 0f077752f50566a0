"""Plans: what a customer may use, as data (``plans.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from recorder.catalogue.records import FORMATS
from recorder.errors import CatalogueError, ConfigError

STARTER: Final = "starter"
FILE: Final = Path(__file__).with_name("plans.toml")


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    features: list[Annotated[str, Field(pattern=r"^[a-z][a-z-]{1,30}$")]]
    longest_keep_days: Annotated[int, Field(ge=0)]
    formats: Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class CustomerPlan:
    """A plan: its ``features``, the longest retention that may be announced (``None``: not limited), and the
    formats in which recordings are stored."""

    code: str
    features: frozenset[str]
    longest_keep_days: int | None
    formats: tuple[str, ...]


@cache
def plans() -> Mapping[str, CustomerPlan]:
    """The plans by code."""
    return load_plans(FILE)


def load_plans(path: Path) -> Mapping[str, CustomerPlan]:
    """Read a file of plans.  Raises :class:`ConfigError` (``plans.broken``) naming what is wrong."""
    try:
        body = TypeAdapter(dict[str, _Plan]).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
        unknown = {each for plan in body.values() for each in plan.formats} - {*FORMATS}
        if unknown or STARTER not in body:
            raise ValueError(f"formats {sorted(unknown)}" if unknown else f"there is no plan {STARTER!r}")
    except (OSError, ValueError, ValidationError) as error:
        raise ConfigError(
            "plans.broken", f"{path} cannot be used: {error}", "compare it with the file that was installed"
        ) from error
    return {
        code: CustomerPlan(
            code, frozenset(each.features), each.longest_keep_days or None, tuple(each.formats)
        )
        for code, each in body.items()
    }


def find_plan(code: str) -> CustomerPlan:
    """A plan.  Raises :class:`CatalogueError` (``tenant.plan``)."""
    found = plans().get(code)
    if found is None:
        raise CatalogueError("tenant.plan", f"there is no plan {code!r}", f"one of {', '.join(plans())}")
    return found
