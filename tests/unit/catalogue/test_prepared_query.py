"""The SQL of a prepared query is generated once, and run each time with its arguments."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.catalogue.database import connected, writing
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.tables.tenant import TenantTable

prepared_names: list[str] = []


@prepared(TenantTable)
def customers_named(tenant: str, name: str) -> Any:
    prepared_names.append(name)
    return TenantTable.select(TenantTable.id, TenantTable.name).where(
        (TenantTable.id == tenant) & (TenantTable.name == name)
    )


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    prepared_names.clear()


def test_query_runs_each_time_and_is_generated_once(tenants: tuple[str, str]) -> None:
    first, second = tenants
    with connected():
        assert [row.id for row in customers_named(first, "Boulangerie Martin")] == [first]
        assert [row.id for row in customers_named(second, "Van Dyck NV")] == [second]
        assert customers_named(second, "Boulangerie Martin") == [], "both conditions hold"
        with writing():
            TenantTable.update(name="Martin & fils").where(TenantTable.id == first).execute()
        assert customers_named(first, "Boulangerie Martin") == []
        assert [row.name for row in customers_named(first, "Martin & fils")] == ["Martin & fils"]
    assert len(prepared_names) <= 1


@pytest.mark.parametrize("name", ["'; DROP TABLE tenant; --", "\0", "\0" + "1", '"', "%s", "?"])
def test_arguments_are_never_part_of_the_sql(tenants: tuple[str, str], name: str) -> None:
    with connected():
        assert customers_named(tenants[0], name) == []
        assert TenantTable.select().count() == len(tenants)
