from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recorder.catalogue import models, places, schema
from recorder.catalogue.models import Amendment, Recording, connected
from recorder.lifecycle import retention
from recorder.recover.rebuild import Rebuild, Report


def rows(model: Any) -> list[dict[str, Any]]:
    """Every row of a table as the database has it, in order."""
    with connected():
        return list(model.select().order_by(model._meta.primary_key).dicts())


@dataclass
class Recovery:
    """Loses the catalogue of a house, and makes it again."""

    house: Any
    report: Report | None = None
    troubles: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def lost(self, name: str = "again.db") -> Iterator[str]:
        """Another, empty catalogue; the house's own is back afterwards."""
        url = f"sqlite:///{self.house.root / name}"
        schema.migrate(url)
        before = models.database.obj
        opened = models.open_catalogue(url)
        try:
            yield url
        finally:
            opened.close()
            models.database.initialize(before)

    def rebuild(self, **changes: Any) -> Report:
        """What a rebuild says; what is wrong is in ``troubles`` as pairs of code and place."""
        house = self.house
        values = {
            "store": house.means.store,
            "keyring": house.means.keyring,
            "root": house.means.root_public,
            "now": house.clock,
            "entropy": house.entropy,
        }
        report = Rebuild(**(values | changes)).run()
        self.troubles = [(each.code, each.place) for each in places.troubles()]
        places.finish()
        return report

    def destroy_due(self) -> int:
        house = self.house
        means = retention.Means(house.means.store, house.means.root_public, house.means.signer, house.entropy)
        return retention.destroy_due(means, house.clock())


@pytest.fixture
def recovery(house) -> Recovery:
    return Recovery(house)


@pytest.fixture
def recorded(house) -> Callable[..., str]:
    """Makes a recording that is in bucket and catalogue; its id."""

    def make(**changes: Any) -> str:
        folder: Path = house.take(talk_ms=300, **changes)
        house.work(folder)
        house.clock.forward(seconds=5)
        return folder.name

    return make


def catalogued() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Recordings and amendments as the catalogue has them."""
    return rows(Recording), rows(Amendment)
