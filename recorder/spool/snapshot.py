"""The node's configuration snapshot: the policies of its lines, and their sounds.

The worker writes it (``features/tenants/snapshot.py``), and the daemon reads it here, so that no call waits
for a database. It is a folder::

    snapshot.json               index: the files of lines, by hash, and the never-record list; its own hash
    lines/<sha256>.json         a share of the lines with their announcements, named after its own hash
    prompts/<sha256>.wav        each sound, named after its own hash
    info_prompts/<digits>.wav   the info prompt about a number, for internal parties; the dialplan plays it
    room_prompts/<name>.wav     what callers to rooms hear (``features/disputes/callers.py``)

The index is written last, and the files of the index before stay: a reader finds all that either names,
however the two meet. A line is always in the same share, so a change to one line rewrites one share and the
index, and a reader reads only shares that it does not know yet.

A sound whose bytes do not match the hash in its name is not played, and its line is not recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from recorder.clock import to_iso
from recorder.domain.call_plan import (
    NOTICE,
    CallPlan,
    DeleteScript,
    KeepScript,
    Script,
    Speech,
    TransferNoticeScript,
)
from recorder.domain.line_policy import (
    INBOUND,
    NUMBER,
    ONCE_CONNECTED,
    OUTBOUND,
    Announcement,
    Keep,
    Language,
    LinePolicy,
    TransferNotice,
)
from recorder.domain.phone_numbers import dialled_numbers, shared_country
from recorder.domain.sentences import TimedSentence
from recorder.errors import ConfigError
from recorder.spool.atomic_files import write_file
from recorder.strict_json import Form, Malformed, Sha256, Strict, parse

FORMAT: Final = 3

INDEX = "snapshot.json"
LINES = "lines"
PROMPTS = "prompts"

SHARDS: Final = 512
"""How many files the lines are spread over, by a hash of their numbers: of 30,000 lines each has some 60."""

INFO_PROMPTS = "info_prompts"
"""Name of the folder of info prompts; the dialplan knows it."""

ROOM_PROMPTS = "room_prompts"
"""The same of what callers to rooms hear."""

FileIdentity = tuple[int, int]
"""Size (bytes) and inode of a sound's file, which show a missing or changed one. Its times do not: the worker
sets them to mark a sound as in use."""


@dataclass(frozen=True, slots=True)
class _Index(Strict):
    format: int
    made_at: str
    lines: tuple[Sha256, ...]
    never_record: tuple[str, ...]
    sha256: Sha256


_INDEX: Final = Form[_Index](_Index)
_POLICY: Final = Form[LinePolicy](LinePolicy)


@dataclass(frozen=True, slots=True)
class Shard:
    """The lines of one file, by the digits of their numbers, and the SHA-256 of each sound of theirs."""

    lines: Mapping[str, LinePolicy]
    sounds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The snapshot that a node handles its calls by; ``folder`` holds the sounds, ``intact`` are those whose
    bytes match their hash, and ``damaged`` the others. ``shards`` are the files of the lines, by their
    hash; ``country`` is the one of all lines, ``None`` if they are of several."""

    made_at: str
    lines: Mapping[str, LinePolicy]
    never_record: frozenset[str]
    damaged: frozenset[str]
    folder: Path
    shards: Mapping[str, Shard] = field(default_factory=dict)
    intact: Mapping[str, FileIdentity] = field(default_factory=dict)
    country: str | None = None

    def line(self, number: str, country: str | None = None) -> LinePolicy | None:
        """Return the line of a number that the dialplan routed, in any spelling of the ``country`` (by
        default the one of all lines); ``None`` where there is none. No prefix or pattern matches."""
        found = (self.lines.get(digits) for digits in self.digits(number, country))
        return next((line for line in found if line is not None), None)

    def digits(self, number: str, country: str | None = None) -> tuple[str, ...]:
        """Return the digits that a dialled number may mean."""
        exact = number.removeprefix("+")
        return (exact,) if exact in self.lines else dialled_numbers(number, country or self.country)

    @property
    def prompts(self) -> frozenset[str]:
        """The SHA-256 of each sound of the lines."""
        return self.damaged.union(self.intact)

    @property
    def is_whole(self) -> bool:
        """Whether each sound is the file that was verified."""
        return not self.damaged and all(
            _identity(self.prompt(sha256)) == identity for sha256, identity in self.intact.items()
        )

    def prompt(self, sha256: str) -> Path:
        """Return the file of a sound."""
        return self.folder / PROMPTS / f"{sha256}.wav"

    def plan(self, line: LinePolicy, direction: str = INBOUND) -> CallPlan:
        """Return the plan of a call to or from this line."""
        scripts = tuple(self.script(one) for one in line.languages)
        menu = None if line.menu is None else self._speech(line.menu)
        once = line.once_connected(direction)
        return CallPlan(line.mode, scripts, menu, once, line.beep, direction == OUTBOUND)

    def script(self, language: Language) -> Script:
        """Return the sounds of one language."""
        prompt, keep, delete, notice = (
            language.consent_prompt,
            language.keep,
            language.delete,
            language.transfer_notice,
        )
        return Script(
            self._speech(language.announcement),
            None if prompt is None else self._speech(prompt.question),
            None if prompt is None else self._speech(prompt.declined),
            None if keep is None else self._keep(keep),
            None
            if delete is None
            else DeleteScript(self._speech(delete.question), self._speech(delete.deleted)),
            None if notice is None else self._transfer_notice(notice),
        )

    def _transfer_notice(self, notice: TransferNotice) -> TransferNoticeScript:
        refused = None if notice.refused is None else self._speech(notice.refused)
        return TransferNoticeScript(self._speech(notice.sound), notice.how, refused)

    def _keep(self, keep: Keep) -> KeepScript:
        question = None if keep.question is None else self._speech(keep.question)
        cue, yes, no, none = map(self._speech, (keep.cue, keep.yes, keep.no, keep.none))
        return KeepScript(question, cue, yes, no, none, keep.destroy, keep.at_start)

    def _speech(self, sound: TimedSentence | Announcement) -> Speech:
        length = timedelta(milliseconds=sound.duration_ms)
        return Speech(str(self.prompt(sound.sha256).absolute()), length)


def write_snapshot(
    folder: Path, lines: Iterable[LinePolicy], never_record: Iterable[str], now: datetime
) -> bool:
    """Write the index and the shards of these lines, as far as they differ from what is there; returns
    whether the index did. Their sounds must be there already. Raises ``OSError`` (a full disk, for instance),
    with the previous snapshot intact."""
    shards = _shards_of(lines)
    index, before = _index_of(shards, never_record, now), _previous_index(folder)
    place = folder / LINES
    place.mkdir(parents=True, exist_ok=True)
    for sha256, content in shards.items():
        if not _intact(path := place / f"{sha256}.json", sha256):
            write_file(path, content)
    if before is not None and before.sha256 == index.sha256:
        return False
    write_file(folder / INDEX, json.dumps(_INDEX.write(index), indent=1).encode())
    # A reader of the previous index may not have reached its shards yet.
    current = {f"{sha256}.json" for each in (index, before) if each is not None for sha256 in each.lines}
    for path in place.iterdir():
        if path.name not in current:
            path.unlink(missing_ok=True)
    return True


def check_line(line: LinePolicy) -> None:
    """Check that a line can be read from a snapshot, before it is written: one that cannot would take the
    others with it. Raises ``ValueError``, ``TypeError``."""
    _line(parse(_POLICY.write_json(line)))


def is_snapshot_of(folder: Path, lines: Iterable[LinePolicy], never_record: Iterable[str]) -> bool:
    """Whether the index in a folder is that of these lines."""
    found = _previous_index(folder)
    return found is not None and found.sha256 == _hash_of(_shards_of(lines), sorted(never_record))


def read_snapshot(folder: Path, known: Snapshot | None = None) -> Snapshot:
    """Read the snapshot and check every prompt's hash; of a ``known`` one of the same folder, only what has
    changed since.

    Raises :class:`ConfigError` where it is missing, or malformed; a damaged prompt is no error but listed in
    ``damaged``, so that other lines are not affected."""
    path = folder / INDEX
    try:
        body: Any = parse(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(
            "snapshot.missing",
            f"no snapshot of lines at {path}",
            "start the worker once: it writes the snapshot; until then no call is recorded",
        ) from None
    except Malformed as error:
        raise _broken_snapshot(f"{path} {error}") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        found = body.get("format") if isinstance(body, dict) else type(body).__name__
        raise ConfigError(
            "snapshot.format",
            f"{path} has format {found!r}, this version reads {FORMAT}",
            "run the daemon and the worker in the same version",
        )
    former: Mapping[str, Shard] = {} if known is None else known.shards
    try:
        index = _read_index(body)
        shards = {sha256: former.get(sha256) or _read_shard(folder, sha256) for sha256 in index.lines}
    except FileNotFoundError as error:
        raise _broken_snapshot(f"there is no {error.filename}") from None
    except (TypeError, ValueError) as error:
        raise _broken_snapshot(
            f"{path} does not match this version: {type(error).__name__} {error}"
        ) from None
    lines = {digits: line for shard in shards.values() for digits, line in shard.lines.items()}
    prompts = frozenset[str]().union(*(shard.sounds for shard in shards.values()))
    intact = _intact_prompts(folder, prompts, {} if known is None else known.intact)
    never = frozenset(number.removeprefix("+") for number in index.never_record)
    country = shared_country(lines)
    return Snapshot(index.made_at, lines, never, prompts.difference(intact), folder, shards, intact, country)


def _broken_snapshot(what: str) -> ConfigError:
    return ConfigError(
        "snapshot.broken",
        what,
        "check the disk, and that daemon and worker run in the same version: the worker rewrites the "
        "snapshot within a minute",
    )


def _read_index(body: object) -> _Index:
    """Raises ``ValueError``."""
    index = _INDEX.read(body)
    if index.sha256 != _hash_of(index.lines, index.never_record):
        raise ValueError("its hash is that of another index")
    return index


def _previous_index(folder: Path) -> _Index | None:
    """The index that is there; ``None`` if there is none that can be read."""
    try:
        return _read_index(parse((folder / INDEX).read_bytes()))
    except (FileNotFoundError, ValueError):
        return None


def _index_of(shards: Iterable[str], never_record: Iterable[str], now: datetime) -> _Index:
    lines, never = tuple(shards), tuple(sorted(never_record))
    return _Index(FORMAT, to_iso(now), lines, never, _hash_of(lines, never))


def _hash_of(shards: Iterable[str], never_record: Iterable[str]) -> str:
    """The hash of an index, which does not cover its time: it tells whether anything has changed."""
    return hashlib.sha256(json.dumps([FORMAT, *shards, None, *never_record]).encode()).hexdigest()


def _shards_of(lines: Iterable[LinePolicy]) -> dict[str, bytes]:
    """The content of each shard, by its hash; a line for each line."""
    members: dict[int, list[bytes]] = defaultdict(list)
    for line in lines:
        shard = zlib.crc32(line.number.removeprefix("+").encode()) % SHARDS
        members[shard].append(_POLICY.write_json(line))
    contents = [b"[" + b",\n".join(members[shard]) + b"]\n" for shard in sorted(members)]
    return {hashlib.sha256(content).hexdigest(): content for content in contents}


def _read_shard(folder: Path, sha256: str) -> Shard:
    """Raises ``OSError``, ``ValueError``, ``TypeError``."""
    path = folder / LINES / f"{sha256}.json"
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} was changed")
    lines = {line.number.removeprefix("+"): line for line in map(_line, parse(content))}
    return Shard(lines, frozenset[str]().union(*(line.sounds for line in lines.values())))


def _line(entry: object) -> LinePolicy:
    """Return a line of the snapshot. It is checked when it is read, not in a call. Raises ``ValueError``."""
    policy = _POLICY.read(entry)
    for one in policy.languages:
        if (one.consent_prompt is None) != (policy.mode == NOTICE):
            raise ValueError(f"mode {policy.mode!r} and the consent prompts contradict each other")
        if (
            policy.mode == NOTICE
            and one.transfer_notice is not None
            and one.transfer_notice.refused is not None
        ):
            raise ValueError(f"mode {policy.mode!r}, but transfer targets are asked")
    others = len(policy.others)
    if (policy.menu is None) != (not others) or others > 8:
        raise ValueError(f"{others + 1} languages and the menu contradict each other")
    to_both = policy.at_pickup or policy.outbound == ONCE_CONNECTED
    if to_both and (policy.mode != NOTICE or others):
        raise ValueError(f"announced to both with mode {policy.mode!r}, in {others + 1} languages")
    if not NUMBER.fullmatch(policy.number):
        raise ValueError(f"not a number: {policy.number!r}")
    return policy


def _intact_prompts(
    folder: Path, prompts: Collection[str], known: Mapping[str, FileIdentity]
) -> dict[str, FileIdentity]:
    """Those of some sounds whose bytes match their hash; a ``known`` file is not read again."""
    found = {}
    for sha256 in prompts:
        path = folder / PROMPTS / f"{sha256}.wav"
        identity = _identity(path)
        if identity is not None and (known.get(sha256) == identity or _intact(path, sha256)):
            found[sha256] = identity
    return found


def _identity(path: Path) -> FileIdentity | None:
    with suppress(FileNotFoundError):
        status = os.stat(path)
        return status.st_size, status.st_ino
    return None


def _intact(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False
