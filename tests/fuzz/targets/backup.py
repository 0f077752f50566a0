"""A backup's file with anything in it: its very rows, or refused."""

from __future__ import annotations

from functools import cache

from recorder.errors import BackupError
from recorder.features.recovery import backup
from tests.fuzz.choices import Choices
from tests.fuzz.documents import repeating, roughened, scratch
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
def genuine() -> tuple[bytes, dict[str, list]]:
    panel()  # a catalogue with something in it
    path = scratch() / "backup"
    backup.write(path, keyring(), NOW, repeating("backup"), lambda _table, _rows: None)
    return path.read_bytes(), {table: list(rows) for table, _, rows in backup.read_tables(path, keyring())}


def check(data: bytes) -> None:
    choices = Choices(data)
    content, tables = genuine()
    line, feed, sealed = content.partition(b"\n")
    match choices.below(5):
        case 0:
            changed = roughened(line, choices) + feed + sealed
        case 1:
            changed = line + feed + roughened(sealed, choices)
        case 2:
            changed = content[: choices.below(len(content) + 1)]
        case 3:
            changed = choices.rest()
        case _:
            changed = roughened(content, choices) + choices.blob(20)
    _path.write_bytes(changed)
    try:
        read = {table: list(rows) for table, _, rows in backup.read_tables(_path, keyring())}
    except BackupError as error:
        assert error.error_id.startswith("backup.")
        return
    assert changed == content
    assert read == tables


SEEDS = tuple(bytes([way, n % 4, n * 37 % 256, n, n % 7, n % 8]) for way in range(5) for n in range(12))
