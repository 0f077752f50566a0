"""An Accord of before, at work on a schema that it does not know: what ``SERVES`` in a migration promises.

``statements-0001.json`` holds every statement, with its values, that the Accord whose newest migration was
0001 sent in the life of a customer: set up, called, listened to, destroyed, looked at by everybody."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorder.catalogue import customers, keeping, models, people, queries, schema
from recorder.catalogue.models import LedgerEntry, connected, database

OLDER = json.loads(Path(__file__).with_name("statements-0001.json").read_text("utf-8"))


UNSIGNED = "0018_retention.py"
"""It serves no Accord of before: that would decide by rows that nobody signed."""


def test_every_migration_since_serves_the_accord_of_the_first_one() -> None:
    for path in sorted(schema.FOLDER.glob("0*.py"))[1:]:
        if path.name != UNSIGNED:
            assert 'SERVES = "0001_initial"\n' in path.read_text("utf-8"), path.name


def test_an_older_accord_does_all_that_it_did_on_the_newest_schema(catalogue: str) -> None:
    _all_of_it()
    tenant, now = OLDER["tenant"], datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
    # What it wrote is what ours reads.
    (kept,) = queries.recordings(tenant).rows
    assert kept.id == OLDER["kept"]
    destroyed = queries.recording(tenant, OLDER["destroyed"])
    assert destroyed is not None
    assert (destroyed.destroyed_why, destroyed.outside, destroyed.wrapped_key) == ("expired", None, None)
    assert [row.reason for row in queries.not_recorded(tenant).rows] == ["never_connected"]
    assert [row.number for row in queries.lines(tenant)] == ["+3225550100"]
    assert [row.login for row in people.users(tenant)] == ["ada@example.be", "bob@example.be"]
    assert customers.revision(customers.LINES) == 4
    assert keeping.due(now) == ()
    with connected():
        numbers = [leaf.number for leaf in LedgerEntry.select().order_by(LedgerEntry.number)]
    assert numbers == list(range(len(numbers)))


def _all_of_it() -> None:
    on_server = models.database.obj.param == "%s"
    with connected():
        for sql, values in OLDER["statements"]:
            said = sql.replace("%", "%%").replace("?", "%s") if on_server else sql
            database.execute_sql(said, [_value(each) for each in values])


def _value(said: Any) -> Any:
    return base64.b64decode(said["bytes"]) if isinstance(said, dict) else said
