"""The triggers that keep the search index of the call list, and the one table that SQLite and PostgreSQL
store differently.  A frozen copy: this file does not change once a version was released.

Triggers, because nodes are upgraded one after another: a worker of the version before writes recordings, too.
"""

# ruff: noqa: S608 -- the statements are put together from this file's own words
from __future__ import annotations

from peewee import Database, PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

LONGEST_VALUE = 128
SUFFIX = 16

TABLE = """
CREATE TABLE party_suffix (
    tenant_id TEXT NOT NULL,
    suffix TEXT{bytewise} NOT NULL,
    party INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, suffix, party)
){without_rowid}
"""

LIST_LINE = """
INSERT INTO listed_line (tenant_id, line_id, number)
    SELECT DISTINCT {row}.tenant_id, coalesce({row}.line_id, ''), {row}.number {source}
    ON CONFLICT DO NOTHING
"""

LIST_PARTY = """
INSERT INTO listed_party (tenant_id, value)
    SELECT DISTINCT {row}.tenant_id, {row}.{side}_value {source} AND {row}.{side}_value <> ''
    ON CONFLICT DO NOTHING
"""

LINE = """(SELECT id FROM listed_line AS l WHERE l.tenant_id = {row}.tenant_id
        AND l.line_id = coalesce({row}.line_id, '') AND l.number = {row}.number)"""

PARTY = """(SELECT id FROM listed_party AS p WHERE p.tenant_id = {row}.tenant_id
        AND p.value = {row}.{side}_value)"""

LIST_RECORDING = f"""
INSERT INTO listed_call (id, tenant_id, started_ms, recorded, line, external, internal, direction,
        duration_ms, consent, agreement, reason)
    SELECT {{row}}.id, {{row}}.tenant_id, {{started}}, 1, {LINE},
        {PARTY.replace("{side}", "external")}, {PARTY.replace("{side}", "internal")},
        {{row}}.direction, {{row}}.duration_ms,
        CASE WHEN {{row}}.import_sha256 IS NOT NULL THEN 'imported'
            WHEN {{row}}.announced = 0 THEN 'unannounced'
            ELSE (SELECT mode FROM announcement AS a
                WHERE a.id = {{row}}.announcement_id AND mode <> 'notice') END,
        {{row}}.agreement, NULL {{source}}
"""

LIST_UNRECORDED = f"""
INSERT INTO listed_call (id, tenant_id, started_ms, recorded, line, external, internal, direction,
        duration_ms, consent, agreement, reason)
    SELECT {{row}}.id, {{row}}.tenant_id, {{started}}, 0, {LINE},
        {PARTY.replace("{side}", "external")}, NULL, {{row}}.direction, NULL,
        CASE WHEN {{row}}.reason = 'declined' THEN 'declined'
            WHEN {{row}}.reason IN ('no_answer', 'unclear', 'hung_up_in_question') THEN 'unanswered' END,
        CASE WHEN {{row}}.reason = 'not_kept' THEN 'refused' END,
        {{row}}.reason {{source}}
    ON CONFLICT DO NOTHING
"""

LIST_COLLEAGUE_PARTY = """
INSERT INTO listed_party (tenant_id, value)
    SELECT DISTINCT {row}.tenant_id, {value} FROM {colleagues} {source} AND {value} <> ''
    ON CONFLICT DO NOTHING
"""

LIST_COLLEAGUE = """
INSERT INTO listed_colleague (tenant_id, call_id, party, started_ms)
    SELECT DISTINCT {row}.tenant_id, {row}.id, p.id, {started} FROM {colleagues}, listed_party AS p
        {source} AND p.tenant_id = {row}.tenant_id AND p.value = {value}
"""

UNLIST = "DELETE FROM listed_call WHERE id = {which}.id AND recorded = {recorded}"

DROP_UNUSED = """
DELETE FROM listed_party WHERE id IN ({parties})
    AND NOT EXISTS (SELECT 1 FROM listed_call AS c WHERE c.external = listed_party.id)
    AND NOT EXISTS (SELECT 1 FROM listed_call AS c WHERE c.internal = listed_party.id)
    AND NOT EXISTS (SELECT 1 FROM listed_colleague AS c WHERE c.party = listed_party.id)
"""

DROP_UNUSED_LINE = """
DELETE FROM listed_line WHERE id = OLD.line
    AND NOT EXISTS (SELECT 1 FROM listed_call AS c WHERE c.line = listed_line.id)
"""

SUFFIXES = """SELECT substr(ltrim(lower({row}.value), '+'), n, {suffix}) FROM {positions}
        WHERE n <= length(ltrim({row}.value, '+'))"""

ADD_SUFFIXES = """
INSERT INTO party_suffix (tenant_id, suffix, party)
    SELECT DISTINCT NEW.tenant_id, substr(ltrim(lower(NEW.value), '+'), n, {suffix}), NEW.id
        FROM {positions} WHERE n <= length(ltrim(NEW.value, '+'))
    ON CONFLICT DO NOTHING
"""

DROP_SUFFIXES = f"""
DELETE FROM party_suffix WHERE tenant_id = OLD.tenant_id AND party = OLD.id
    AND suffix IN ({SUFFIXES.replace("{row}", "OLD")})
"""

RECORDING_COLUMNS = (
    "id, tenant_id, line_id, number, direction, external_value, internal_value, colleagues, started_at, "
    "duration_ms, announcement_id, announced, agreement, erased_at, import_sha256"
)
UNRECORDED_COLUMNS = "id, tenant_id, line_id, number, direction, external_value, started_at, reason"


class Dialect:
    """What SQLite and PostgreSQL write differently."""

    def __init__(self, postgresql: bool) -> None:
        self.postgresql = postgresql
        numbers = ", ".join(f"({n})" for n in range(1, LONGEST_VALUE + 1))
        self.positions = (
            f"generate_series(1, {LONGEST_VALUE}) AS p(n)"
            if postgresql
            else f"(SELECT column1 AS n FROM (VALUES {numbers}))"
        )

    def colleagues(self, row: str) -> tuple[str, str]:
        """A table of a row's colleagues, and the value of each."""
        if self.postgresql:
            return f"json_array_elements({row}.colleagues::json) AS o(one)", "(o.one ->> 'value')"
        # Of a row that was tampered with, nothing is listed.
        content = f"CASE WHEN json_valid({row}.colleagues) THEN {row}.colleagues END"
        return f"json_each({content}) AS o", f"json_extract({row}.colleagues, o.fullkey || '.value')"

    def started(self, row: str) -> str:
        if self.postgresql:
            return f"round(extract(epoch FROM {row}.started_at::timestamptz) * 1000)::bigint"
        return (
            f"(CAST(strftime('%s', {row}.started_at) AS INTEGER) * 1000"
            f" + CAST(substr({row}.started_at, 21, 3) AS INTEGER))"
        )

    def table(self) -> str:
        return TABLE.format(
            bytewise=' COLLATE "C"' if self.postgresql else "",
            without_rowid="" if self.postgresql else " WITHOUT ROWID",
        )

    def listing(self, table: str, row: str, source: str) -> list[str]:
        """Statements that list the rows of a source."""
        sides = ("external", "internal") if table == "recording" else ("external",)
        listed = LIST_RECORDING if table == "recording" else LIST_UNRECORDED
        others, value = self.colleagues(row)
        colleagues = (LIST_COLLEAGUE_PARTY, LIST_COLLEAGUE) if table == "recording" else ()
        return [
            LIST_LINE.format(row=row, source=source),
            *(LIST_PARTY.format(row=row, source=source, side=side) for side in sides),
            listed.format(row=row, source=source, started=self.started(row)),
            *(
                each.format(row=row, source=source, colleagues=others, value=value, started=self.started(row))
                for each in colleagues
            ),
        ]

    def suffixes(self, statement: str) -> str:
        return statement.format(suffix=SUFFIX, positions=self.positions)

    def trigger(self, name: str, event: str, table: str, statements: list[str]) -> list[str]:
        body = ";\n".join(statement.strip() for statement in statements) + ";"
        if not self.postgresql:
            return [f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW BEGIN\n{body}\nEND"]
        return [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN\n{body}\nRETURN NULL;\nEND $$",
            f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
        ]

    def triggers(self) -> list[str]:
        found: list[str] = []
        for table, columns, recorded, condition in (
            ("recording", RECORDING_COLUMNS, 1, "WHERE NEW.erased_at IS NULL"),
            ("unrecorded_call", UNRECORDED_COLUMNS, 0, "WHERE NEW.tenant_id IS NOT NULL"),
        ):
            listing = self.listing(table, "NEW", condition)
            # A take that is released from quarantine is a recording before it leaves the other table.
            replaced = ["DELETE FROM listed_call WHERE id = NEW.id"] if recorded else []
            unlist = UNLIST.format(which="OLD", recorded=recorded)
            found += self.trigger(f"{table}_listed", "INSERT", table, replaced + listing)
            found += self.trigger(
                f"{table}_relisted", f"UPDATE OF {columns}", table, [unlist, *replaced, *listing]
            )
            found += self.trigger(f"{table}_unlisted", "DELETE", table, [unlist])
        dropped = [
            "DELETE FROM listed_colleague WHERE call_id = OLD.id",
            DROP_UNUSED.format(parties="OLD.external, OLD.internal"),
            DROP_UNUSED_LINE,
        ]
        found += self.trigger("listed_call_dropped", "DELETE", "listed_call", dropped)
        found += self.trigger(
            "listed_colleague_dropped",
            "DELETE",
            "listed_colleague",
            [DROP_UNUSED.format(parties="OLD.party")],
        )
        found += self.trigger("listed_party_added", "INSERT", "listed_party", [self.suffixes(ADD_SUFFIXES)])
        found += self.trigger(
            "listed_party_dropped", "DELETE", "listed_party", [self.suffixes(DROP_SUFFIXES)]
        )
        return found


def up(migrator: SchemaMigrator, db: Database) -> None:
    dialect = Dialect(isinstance(db, PostgresqlDatabase))
    for statement in (dialect.table(), *dialect.triggers()):
        db.execute_sql(statement)  # type: ignore[no-untyped-call]
