from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from recorder.catalogue import database
from recorder.catalogue.database import connected
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.features.recovery import rebuild_queue
from recorder.features.recovery.rebuild import Rebuild, RebuildReport
from recorder.lifecycle import expiry, limit_application
from tests.catalogue_template import make_catalogue, open_catalogue
from tests.stored_recordings import put_small


def rows(model: Any) -> list[dict[str, Any]]:
    """Every row of a table as the database has it, in order."""
    with connected():
        return list(model.select().order_by(model._meta.primary_key).dicts())


@dataclass
class Recovery:
    """Loses the catalogue of a house, and rebuilds it."""

    house: Any
    request: pytest.FixtureRequest
    troubles: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def empty_catalogue(self, kind: str | None = None) -> Iterator[None]:
        """Use another, empty catalogue, of the same kind or another; the house's own is restored
        afterwards."""
        own = "postgresql" if self.house.catalogue_url.startswith("postgresql") else "sqlite"
        with ExitStack() as stack:
            url = f"sqlite:///{self.house.folder / 'again.db'}"
            if (kind or own) == "postgresql":
                server = self.request.getfixturevalue("postgres")
                url = stack.enter_context(server.database())
            make_catalogue(url)
            before = database.database.obj
            opened = open_catalogue(url)
            try:
                yield
            finally:
                getattr(opened, "close_all", opened.close)()
                database.database.initialize(before)

    def rebuild(self, **changes: Any) -> RebuildReport:
        """The report of a rebuild; its problems are in ``troubles`` as pairs of code and place."""
        house = self.house
        values = {
            "store": house.services.store,
            "keyring": house.services.keyring,
            "root": house.services.root,
            "now": house.clock,
            "entropy": house.entropy,
        }
        report = Rebuild(**(values | changes)).run()
        self.troubles = [(each.code, each.place) for each in rebuild_queue.problems()]
        rebuild_queue.finish()
        return report

    def settle(self) -> int:
        """Apply the retention limits to the rows."""
        house = self.house
        return limit_application.apply_limits(house.services.store, house.services.root, house.clock())

    def destroy_due(self) -> int:
        house = self.house
        means = house.services
        return expiry.destroy_due(means, house.clock())


@pytest.fixture
def recovery(house, request: pytest.FixtureRequest) -> Recovery:
    return Recovery(house, request)


@pytest.fixture
def recorded(house) -> Callable[..., str]:
    """Puts a small recording into bucket and catalogue; its id."""

    def make(announced: bool = True) -> str:
        return put_small(house, announced)

    return make


def catalogued() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Recordings and amendments as the catalogue has them."""
    return rows(RecordingTable), rows(AmendmentTable)
