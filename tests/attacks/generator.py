"""Attacks, generated from the schema and from the kinds of objects: their names are the same in every run.

On each table: a plausible row and an implausible one are inserted, each column of a row is changed (in
turn to another plausible value, to garbage, and to NULL), and rows are deleted, one and all. On each kind of
object: one is deleted, cut off, damaged by one bit, and exchanged with another, and one more is put.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recorder.auditlog.object_kinds import KINDS, ObjectKind
from recorder.catalogue.tables.registry import TABLES

from .installation import Installation

MODELS: Final = {model._meta.table_name: model for model in TABLES}
UNKNOWN: Final = "01930000-0000-7000-8000-00000000ffff"
DAMAGED: Final = b"\xff\x00damaged"


@dataclass(frozen=True)
class Attack:
    """An attack: ``run`` carries it out on an installation, and returns what it hit itself."""

    name: str
    run: Callable[[Installation], set[str]]


class Impossible(Exception):
    """The database does not let the attack happen."""


def attacks_on_table(table: str) -> list[Attack]:
    """The attacks on a table."""
    found = [Attack(f"insert {table} {how}", _insert_of(table, how)) for how in ("copied", "made up")]
    found += [Attack(f"delete {table} {how}", _delete_of(table, how)) for how in ("one", "all")]
    for number, column in enumerate(_columns(table)):
        how = ("other", "garbage", "other", "null")[number % 4]
        if how == "null" and not _field(table, column).null:
            how = "other"
        found.append(Attack(f"update {table}.{column} {how}", _update_of(table, column, how)))
    return found


def attacks_on_kind(kind: ObjectKind) -> list[Attack]:
    """The attacks on a kind of object."""
    how = {"delete": _delete, "cut off": _cut, "flip": _flip, "exchange": _exchange, "plant": _plant}
    return [Attack(f"{each} {kind.listed}", _attack_of(kind, change)) for each, change in how.items()]


def every_attack() -> dict[str, list[Attack]]:
    """All attacks, by table or kind."""
    found = {table: attacks_on_table(table) for table in MODELS}
    return found | {kind.listed: attacks_on_kind(kind) for kind in KINDS}


# --- rows


def _columns(table: str) -> list[str]:
    return [field.column_name for field in MODELS[table]._meta.sorted_fields]


def _field(table: str, column: str) -> Any:
    return next(each for each in MODELS[table]._meta.sorted_fields if each.column_name == column)


def _rows(live: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    names = _columns(table)
    key = names[0]
    listed = ", ".join(f'"{each}"' for each in names)
    found = live.execute(f'SELECT {listed} FROM "{table}" ORDER BY "{key}"').fetchall()
    return [dict(zip(names, row, strict=True)) for row in found]


def _victim(installation: Installation, table: str, column: str | None = None) -> dict[str, Any]:
    """A row of the attacked customer's, if possible one with a value in the column, about the recording that
    is not erased. Where the table is empty, nothing can be attacked."""
    rows = _rows(installation.live, table)
    if not rows:
        raise Impossible
    ours, alive = installation.world.tenant, installation.world.live_recording

    def rank(row: dict[str, Any]) -> tuple[bool, ...]:
        values = [str(each) for each in row.values()]
        return (
            ours not in values,
            column is not None and row[column] is None,
            not any(alive in each for each in values),
        )

    return min(rows, key=rank)


def _where(table: str, row: dict[str, Any]) -> tuple[str, list[Any]]:
    keys = [each for each in _columns(table) if row[each] is not None]
    return " AND ".join(f'"{each}" = ?' for each in keys), [row[each] for each in keys]


def _hit(table: str, row: dict[str, Any]) -> set[str]:
    return {f"{table}/{row['id']}"} if "id" in row else set()


def _execute(installation: Installation, sql: str, values: list[Any]) -> int:
    try:
        count = installation.live.execute(sql, values).rowcount
    except sqlite3.Error as error:
        installation.live.rollback()
        raise Impossible from error
    installation.live.commit()
    return count


def _update_of(table: str, column: str, how: str) -> Callable[[Installation], set[str]]:
    def run(installation: Installation) -> set[str]:
        row = _victim(installation, table, column)
        value = {"null": None, "garbage": _garbage(table, column)}.get(how)
        if how == "other":
            value = _other(installation, table, column, row[column])
        if value == row[column]:
            raise Impossible
        where, values = _where(table, row)
        sql = f'UPDATE "{table}" SET "{column}" = ? WHERE {where}'
        _execute(installation, sql, [value, *values])
        return _hit(table, row)

    return run


def _garbage(table: str, column: str) -> Any:
    kind = type(_field(table, column)).__name__
    return {"BlobField": DAMAGED, "DataField": '{"x": 1}'}.get(kind, "garbage")


def _other(installation: Installation, table: str, column: str, value: Any) -> Any:
    """Another value that could be there: another row's, another customer's, an earlier time."""
    kind = type(_field(table, column)).__name__
    if column == "tenant_id":
        return installation.other
    if "Moment" in kind:
        return "2026-01-05T09:00:00.000Z"
    others = [row[column] for row in _rows(installation.live, table) if row[column] not in (value, None)]
    if column != _columns(table)[0] and others:
        return sorted(others, key=str)[0]
    if kind == "DataField":
        parsed = json.loads(value) if value else {}
        return json.dumps([*parsed, "x"] if isinstance(parsed, list) else parsed | {"x": 1})
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, int):
        return 1 - value if value in (0, 1) else value + 1
    if kind in ("IntegerField", "BigIntegerField"):
        return 1
    if kind == "BlobField":
        return b"x"
    if value is None:
        return UNKNOWN
    return value[:-1] + ("1" if value[-1:] != "1" else "2") if value else "x"


def _insert_of(table: str, how: str) -> Callable[[Installation], set[str]]:
    def run(installation: Installation) -> set[str]:
        if how == "copied":
            row = dict(_victim(installation, table))
            unique = _unique(table)
            for column in unique:
                row[column] = _other(installation, table, column, row[column])
                if isinstance(row[column], str) and column != "tenant_id":
                    row[column] = UNKNOWN if column == _columns(table)[0] else f"{row[column]}x"
        else:
            row = {column: _made_up(installation, table, column) for column in _columns(table)}
        names = ", ".join(f'"{each}"' for each in row)
        placeholders = ", ".join("?" * len(row))
        sql = f'INSERT INTO "{table}" ({names}) VALUES ({placeholders})'
        _execute(installation, sql, list(row.values()))
        return _hit(table, row)

    return run


def _unique(table: str) -> list[str]:
    """Columns in which a copied row must differ."""
    meta = MODELS[table]._meta
    found = [_columns(table)[0]]
    for field in meta.sorted_fields:
        if field.unique and field.column_name not in found:
            found.append(field.column_name)
    for index in meta.indexes:
        if isinstance(index, tuple) and index[1]:
            name = meta.combined[index[0][-1]].column_name
            if name not in found:
                found.append(name)
    return found


def _made_up(installation: Installation, table: str, column: str) -> Any:
    if column == "tenant_id":
        return installation.world.tenant
    if column in ("recording_id", "id") and table in ("dispute", "amendment"):
        return installation.world.live_recording
    kind = type(_field(table, column)).__name__
    at = "2026-01-05T09:00:00.000Z"
    values: dict[str, Any] = {
        "BlobField": DAMAGED,
        "DataField": '{"x": 1}',
        "MomentField": at,
        "MaybeMomentField": at,
    }
    values |= {"IntegerField": 7, "BigIntegerField": 7, "AutoField": 777}
    return values.get(kind, "made-up")


def _delete_of(table: str, how: str) -> Callable[[Installation], set[str]]:
    def run(installation: Installation) -> set[str]:
        row = _victim(installation, table)
        where, values = _where(table, row) if how == "one" else ("1 = 1", [])
        rows = [row] if how == "one" else _rows(installation.live, table)
        _execute(installation, f'DELETE FROM "{table}" WHERE {where}', values)
        return set().union(*(_hit(table, each) for each in rows))

    return run


# --- objects


def _attack_of(
    kind: ObjectKind, change: Callable[[Installation, ObjectKind], set[str]]
) -> Callable[[Installation], set[str]]:
    return lambda installation: change(installation, kind)


def _of_kind(installation: Installation, kind: ObjectKind) -> list[str]:
    """The objects of a kind, those about the attacked customer and the recording that is alive first."""
    ours, alive = installation.world.tenant, installation.world.live_recording
    names = [name for name in installation.objects if kind.has(name)]
    return sorted(names, key=lambda name: (ours not in name, alive not in name, name))


def _path(installation: Installation, kind: ObjectKind) -> Path:
    names = _of_kind(installation, kind)
    if not names:
        raise Impossible
    return installation.house.bucket / names[0]


def _name(installation: Installation, path: Path) -> str:
    return str(path.relative_to(installation.house.bucket))


def _delete(installation: Installation, kind: ObjectKind) -> set[str]:
    path = _path(installation, kind)
    path.unlink()
    return {_name(installation, path)}


def _cut(installation: Installation, kind: ObjectKind) -> set[str]:
    path = _path(installation, kind)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return {_name(installation, path)}


def _flip(installation: Installation, kind: ObjectKind) -> set[str]:
    path = _path(installation, kind)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    return {_name(installation, path)}


def _exchange(installation: Installation, kind: ObjectKind) -> set[str]:
    """With another of its kind; where there is none, with a manifest."""
    path, names = _path(installation, kind), _of_kind(installation, kind)
    other = names[1] if len(names) > 1 else next(name for name in installation.objects if "manifest" in name)
    other_path = installation.house.bucket / other
    content, others_content = path.read_bytes(), other_path.read_bytes()
    if content == others_content:
        raise Impossible
    path.write_bytes(others_content)
    other_path.write_bytes(content)
    return {_name(installation, path), other}


def _plant(installation: Installation, kind: ObjectKind) -> set[str]:
    """One more of the kind, with the content of one that is there."""
    names = _of_kind(installation, kind)
    content = installation.objects[names[0]] if names else b'{"planted": true}'
    name = next((each for each in _places(installation, kind) if each not in installation.objects), None)
    if name is None:
        raise Impossible
    assert kind.has(name), name
    path = installation.house.bucket / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {name}


def _places(installation: Installation, kind: ObjectKind) -> Iterator[str]:
    """Names that an object of the kind could have: where an existing one is, with a later number or an
    unknown id."""
    world = installation.world
    names = _of_kind(installation, kind)
    for name in names[:1]:
        folder, _, last = name.rpartition("/")
        for number in re.findall(r"(?<![0-9a-f])[0-9]{4}(?:[0-9]{6})?(?=\.|$)", last):
            yield f"{folder}/{last.replace(number, f'{int(number) + 90:0{len(number)}}')}"
    recording = next(name for name in installation.objects if name.endswith("/manifest.json"))
    folder = recording.rpartition("/")[0].replace(world.live_recording, UNKNOWN)
    for identity in sorted(set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", folder))):
        if identity not in (world.tenant, installation.other):
            folder = folder.replace(identity, UNKNOWN)
    listed = kind.listed.replace("<tenant>", world.tenant).replace("<recording>", UNKNOWN)
    listed = re.sub(r"<key's id>-?$", "ab" * 16 + "-cd.json", listed).replace("<key's id>", "ab" * 16)
    listed = listed.replace("<id>", UNKNOWN).replace("<limit>", UNKNOWN).replace("<dispute>", UNKNOWN)
    if listed == "receipt.json":
        listed = f"offboarding/{world.tenant}/receipt.json"
    if listed == "probe/":
        listed = "probe/0123456789abcdef"
    yield listed if "/" in listed else f"{folder}/{listed}"
    yield listed.replace("0001", "0091").replace("0000000001", "0000000091")
