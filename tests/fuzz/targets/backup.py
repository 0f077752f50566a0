"""A backup file of any bytes: its rows are restored exactly, or it is refused."""

from __future__ import annotations

from functools import cache

from recorder.errors import BackupError
from recorder.features.recovery import backup
from tests.fuzz.choices import Choices
from tests.fuzz.documents import mutate_bytes, repeatable_entropy, scratch
from tests.fuzz.panel import keyring, panel
from tests.unit.seal.recording import NOW

INSTRUMENT = (
    "recorder.features.recovery.backup",
    "recorder.seal.streaming_aead",
    "recorder.seal.canonical_json",
)
LONGEST = 160

_path = scratch() / "changed"


@cache
def genuine_backup() -> tuple[bytes, dict[str, list]]:
    panel()  # a catalogue with something in it
    path = scratch() / "backup"
    backup.write(path, keyring(), NOW, repeatable_entropy("backup"), lambda _table, _rows: None)
    return path.read_bytes(), {table: list(rows) for table, _, rows in backup.read_tables(path, keyring())}


def check(data: bytes) -> None:
    choices = Choices(data)
    content, tables = genuine_backup()
    line, feed, sealed = content.partition(b"\n")
    match choices.below(5):
        case 0:
            changed = mutate_bytes(line, choices) + feed + sealed
        case 1:
            changed = line + feed + mutate_bytes(sealed, choices)
        case 2:
            changed = content[: choices.below(len(content) + 1)]
        case 3:
            changed = choices.rest()
        case _:
            changed = mutate_bytes(content, choices) + choices.blob(20)
    _path.write_bytes(changed)
    try:
        read = {table: list(rows) for table, _, rows in backup.read_tables(_path, keyring())}
    except BackupError as error:
        assert error.error_id.startswith("backup.")
        return
    assert changed == content
    assert read == tables


SEEDS = tuple(bytes([way, n % 4, n * 37 % 256, n, n % 7, n % 8]) for way in range(5) for n in range(12))
