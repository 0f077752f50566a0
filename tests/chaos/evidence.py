"""Reads an installation: catalogue, bucket, decrypted sound, log lines.  It uses SQL and readers of its own
where that is little work, so that the product does not judge itself."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from recorder.clock import utc_now
from recorder.seal import plaintext
from recorder.seal import verification as seals
from recorder.seal.keyring import WrappedKey, data_key_path, tenant_key_path
from recorder.seal.manifest import Manifest
from recorder.spool import layout
from recorder.store.contract import Store
from tests.chaos.facts import (
    Catalogue,
    DecryptedSound,
    Leaf,
    ListenRow,
    Play,
    ProcessDeath,
    RecordingRow,
    Span,
    UnrecordedRow,
)
from tests.chaos.model import TAILS
from tests.chaos.plant import Plant
from tests.chaos.visitor import FetchedSound, Visitor
from tests.freeswitch.sound import RATE, level, onset_of

RECORDING = "SELECT id, tenant_id, external_value, prefix, objects, manifest_sha256, announced, duration_ms FROM recording"  # noqa: E501
UNRECORDED = "SELECT id, tenant_id, external_value, reason, quarantined_until FROM unrecorded_call"
LEAVES = "SELECT tenant_id, number, kind, recording_id, body, salt, leaf, leaf_hash FROM log_leaf"
LISTENS = "SELECT id, grant_id, play, sent_bytes, closed_at FROM listen"


FRAME = 160
"""Samples of 20 ms: a real switch leaves the last ones of what it plays to a bridged leg, or to a callee, out
of the recording of it; they hear them."""

BEGINS = 160
"""Samples at a sound's beginning among which :func:`onset_of` tells no first from a later one: where what is
said begins there, it begins with what is first heard."""


class Database:
    """The catalogue, read-only, with one connection for each look."""

    def __init__(self, url: str) -> None:
        self.url = url

    def read(self) -> Catalogue:
        """Read everything in one transaction."""
        with closing(self._connect()) as connection:
            ask = lambda sql: list(connection.execute(sql))  # noqa: E731
            if self.url.startswith("sqlite"):
                connection.execute("BEGIN")
            recordings = tuple(
                RecordingRow(row[0], row[1], row[2], row[3], frozenset(o["name"] for o in _data(row[4])),
                         row[5], bool(row[6]), row[7])
                for row in ask(RECORDING)
            )  # fmt: skip
            unrecorded = tuple(UnrecordedRow(*row[:4], row[4] is not None) for row in ask(UNRECORDED))
            leaves = tuple(_leaf(*row) for row in ask(LEAVES))
            listens = tuple(ListenRow(*row[:4], row[4] is not None) for row in ask(LISTENS))
            sizes = {str(row[0]): int(row[1]) for row in ask("SELECT id, log_size FROM tenant")}
            grants = {str(row[0]): str(row[1]) for row in ask("SELECT id, recording_id FROM access_grant")}
            return Catalogue(
                recordings, unrecorded, leaves, sizes, grants, listens, tuple(self._unsound(ask))
            )

    def _connect(self) -> Any:
        if not self.url.startswith("sqlite"):
            import psycopg

            return psycopg.connect(
                self.url, connect_timeout=5, options="-c default_transaction_isolation=repeatable\\ read"
            )
        return sqlite3.connect(f"file:{self.url.removeprefix('sqlite:///')}?mode=ro", uri=True, timeout=0.5)

    def _unsound(self, ask: Any) -> Iterable[str]:
        if self.url.startswith("sqlite"):
            yield from (row[0] for row in ask("PRAGMA integrity_check") if row[0] != "ok")
            yield from (f"{row} refers to nothing" for row in ask("PRAGMA foreign_key_check"))


def _data(value: Any) -> Any:
    """What a database gives back as text, or as what it says."""
    return json.loads(value) if isinstance(value, str) else value


def _leaf(
    tenant: str, number: int, kind: str, recording: str | None, body: str, salt: bytes, leaf: str, digest: str
) -> Leaf:
    bodies = json.loads(leaf)
    commitment = hmac.new(bytes(salt), body.encode(), hashlib.sha256).hexdigest()
    whole = (
        hashlib.sha256(b"\x00" + leaf.encode()).hexdigest() == digest
        and (bodies["tenant"], bodies["number"], bodies["kind"]) == (tenant, number, kind)
        and bodies["commitment"] == commitment
    )
    return Leaf(tenant, number, kind, recording, json.loads(body), whole)


class Ears:
    """Hears each recording once: decrypts it from the bucket."""

    def __init__(self, plant: Plant, store: Store) -> None:
        self._store = store
        self._keyring, self._root = plant.context.keyring(), plant.context.root()
        self._prompt = plant.prompt
        # A sound's beginning is seen from where it is loud on.
        self._quiet = int(np.flatnonzero(np.abs(plant.prompt) > 0.02)[0])
        self.sounds: dict[str, DecryptedSound] = {}
        self._sealed: dict[str, Manifest] = {}

    def hear(self, rows: Iterable[RecordingRow]) -> dict[str, DecryptedSound]:
        """Of all of these."""
        for row in rows:
            if row.id not in self.sounds:
                self.sounds[row.id] = self._hear(row)
        return self.sounds

    def names(self) -> set[str]:
        """Every object in the bucket."""
        return set(self._store.list(""))

    def plays(self, fetched: Iterable[FetchedSound], grants: dict[str, str]) -> list[Play]:
        """Compare what listeners received with what was sealed, including grants without a row."""
        return [self._play(each, grants.get(each.grant, "")) for each in fetched]

    def _play(self, fetched: FetchedSound, recording: str) -> Play:
        right = None
        if fetched.sha256 is not None and recording:
            found = self._sealed[recording].object(fetched.name)
            right = found is not None and fetched.sha256 == found.plain_sha256
        return Play(fetched.grant, fetched.play, recording, fetched.status, fetched.received, right)

    def _hear(self, row: RecordingRow) -> DecryptedSound:
        report = seals.verify(self._store, row.prefix, self._root, self._keyring, utc_now())
        findings = tuple(f"{each.code} {each.where}: {each.message}" for each in report.findings)
        if report.manifest is None or findings:
            return DecryptedSound(None, 0.0, 0, 0, (), findings or ("no manifest",))
        self._sealed[row.id] = manifest = report.manifest
        sound = self._decrypt(manifest)
        onset = onset_of(sound[:, 1], self._prompt[:-FRAME])
        if onset is not None and onset < BEGINS:
            onset = int(np.flatnonzero(np.abs(sound[:, 1]) > 0.02)[0])
        announcement_end = None if onset is None else onset - self._quiet + len(self._prompt)
        before = sound[:announcement_end, 0]
        # The external party's tone depends on who called.
        voice = np.maximum(level(sound[:, 0], 440), level(sound[:, 0], 1000))
        gaps = [gap for gap in manifest.gaps if gap.channel in ("left", "both") and gap.reason in TAILS]
        return DecryptedSound(
            announced_ms=None if announcement_end is None else announcement_end * 1000 // RATE,
            loudest_before=float(np.abs(before).max(initial=0.0)),
            voice_ms=int((voice > 0.1).sum()) * 100,
            explained_ms=sum(gap.end_ms - gap.start_ms for gap in gaps),
            gaps=tuple(gap.reason for gap in gaps),
            findings=findings,
            announcement_length_ms=len(self._prompt) * 1000 // RATE,
            paused_ms=sum(gap.end_ms - gap.start_ms for gap in gaps if gap.reason == "paused"),
            length_ms=len(sound) * 1000 // RATE,
            silent=tuple(silences(sound)),
            answers=tuple(each.answer for each in manifest.keep_questions if each.answer in ("yes", "no")),
            agreed=manifest.keep_consent is not None,
        )

    def _decrypt(self, manifest: Manifest) -> np.ndarray:
        store = self._store
        tenant = WrappedKey.from_bytes(store.read(tenant_key_path(manifest.tenant)))
        mine = WrappedKey.from_bytes(store.read(data_key_path(manifest.tenant, manifest.recording)))
        key = self._keyring.open_data_key(tenant, mine)
        name = manifest.prefix + "audio.wav"
        reader = plaintext.reader(manifest, "audio.wav", key, lambda start, end: store.read(name, start, end))
        content = b"".join(reader.read())
        at = content.index(b"data") + 8
        return np.frombuffer(content[at : at + (len(content) - at) // 4 * 4], "<i2").reshape(-1, 2) / 32768


def silences(sound: np.ndarray, least: int = 200) -> Iterator[tuple[int, int]]:
    """Stretches of zeros in both channels, in milliseconds, of so many at least."""
    zero = ~sound.any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], zero, [False])).astype(np.int8)))
    for start, end in edges.reshape(-1, 2).tolist():
        if (end - start) * 1000 // RATE >= least:
            yield start * 1000 // RATE, end * 1000 // RATE


def fetched_sounds(visitors: Iterable[Visitor], database: Database) -> tuple[list[FetchedSound], Catalogue]:
    """What listeners got, and then the catalogue, while they listen on.  In this order: all that came was
    written down before it, so the later look has it; what comes during the look may be in no row of it."""
    fetched = [each for visitor in visitors for each in list(visitor.fetched)]
    return fetched, database.read()


def remaining_takes(root: Path) -> tuple[str, ...]:
    """Takes left in the spool, except in quarantine."""
    folders = [entry for entry in root.iterdir() if entry.is_dir() and entry.name != layout.QUARANTINE]
    return tuple(f"{each.name}: {sorted(path.name for path in each.iterdir())}" for each in folders)


def quarantined_takes(root: Path) -> tuple[str, ...]:
    """Takes in quarantine."""
    folder = root / layout.QUARANTINE
    return tuple(sorted(entry.name for entry in folder.iterdir())) if folder.is_dir() else ()


class Watch:
    """Reads from a log when a daemon was connected to its switch."""

    def __init__(self, *logs: Path) -> None:
        self._logs = dict.fromkeys(logs, 0)
        self._ups: list[float] = []
        self._downs: list[float] = []
        self._is_ending = False

    def spans(self, deaths: Iterable[ProcessDeath], now: float, stopped: Iterable[Span] = ()) -> list[Span]:
        """The spans up to now, without those in which the daemon was stopped."""
        for path in self._logs:
            self._read(path)
        ends = sorted([*self._downs, *(each.at for each in deaths if each.process == "daemon")])
        spans = []
        for up in sorted(self._ups):
            end = next((at for at in ends if at > up), now)
            spans.append((up, end))
        for since, until in stopped:
            parts = [((up, min(end, since)), (max(up, until), end)) for up, end in spans]
            spans = sorted({span for pair in parts for span in pair if span[1] > span[0]})
        return spans

    def up(self, deaths: Iterable[ProcessDeath]) -> bool:
        """Whether a daemon is connected now."""
        now = float("inf")
        spans = self.spans(deaths, now)
        return bool(spans) and spans[-1][1] == now

    def _read(self, path: Path) -> None:
        if not path.exists():
            return
        with open(path, "rb") as file:
            file.seek(self._logs[path])
            content = file.read()
        whole, _, _ = content.rpartition(b"\n")
        self._logs[path] += len(whole) + 1 if whole else 0
        for line in whole.split(b"\n"):
            whole_line = line.startswith(b"{") and line.endswith(b"}")  # others are cut, or a library's
            if whole_line and any(name in line for name in (b"switch.up", b"daemon.")):
                self._take(json.loads(line))

    def _take(self, entry: dict[str, str]) -> None:
        at = datetime.fromisoformat(entry["timestamp"]).timestamp()
        match entry["event"]:
            case "daemon.listening":
                self._is_ending = False
            case "daemon.draining":
                # It accepts no more calls and takes over none.
                self._is_ending = True
                self._downs.append(at)
            case "daemon.unobserved":
                self._downs.append(at)
            case "switch.up" if not self._is_ending:
                self._ups.append(at)
