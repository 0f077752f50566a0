"""What tests of several rooms share: a clock that is set, randomness that repeats, a fresh catalogue."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from recorder.catalogue import database, schema
from recorder.catalogue.records import LineRow
from recorder.clock import Uptime
from recorder.domain.line_policy import Announcement, Keep, PromptSound
from recorder.domain.parties import Party
from recorder.features.tenants import announcements, lines
from recorder.identity import tenants
from recorder.ids import uuid7
from recorder.lifecycle import hold_review, retention_limits
from recorder.lifecycle.amendment_service import Changes
from recorder.pipeline import stages
from recorder.seal import signing
from recorder.seal.amendment import By
from recorder.seal.keyring import Keyring, load_kek
from recorder.seal.revocation import Trust
from recorder.services import Services
from recorder.spool import layout
from recorder.spool.layout import CallEnd, CallStart, Mark
from recorder.store.directory import DirectoryStore
from tests.announced import announcement_in
from tests.postgres import Server, binaries


@pytest.fixture(scope="session", autouse=True)
def loggers_of_this_test() -> Iterator[None]:
    """A command that a test runs in its own process configures the logs as for a process that stays: each
    logger would keep them for ever, and ``capture_logs`` of a later test hear nothing."""
    configure = structlog.configure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            structlog, "configure", lambda **how: configure(**{**how, "cache_logger_on_first_use": False})
        )
        yield


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@dataclass
class Clock:
    """A clock that stands still until it is moved; each reading is the same time."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 25, 9, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> datetime:
        self.at += timedelta(**by)
        return self.at


class Repeating:
    """Bytes that look random and are the same in every run."""

    def __init__(self, seed: str = "accord") -> None:
        self.seed = seed
        self.calls = 0

    def __call__(self, length: int) -> bytes:
        out = b""
        while len(out) < length:
            self.calls += 1
            out += hashlib.sha256(f"{self.seed}/{self.calls}".encode()).digest()
        return out[:length]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def entropy() -> Repeating:
    return Repeating()


SERVED = (pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server is installed (postgresql)"),)
KINDS = ("sqlite", pytest.param("postgresql", marks=SERVED))
UNIT = Path(__file__).parent / "unit"
ON_BOTH = tuple(UNIT / room for room in ("access", "catalogue", "ending", "ledger", "pipeline", "recover"))
"""The rooms whose tests of a catalogue run on SQLite and on PostgreSQL."""
ALWAYS = frozenset({
    "test_address", "test_append", "test_backup", "test_desk", "test_kept", "test_live", "test_older",
    "test_people", "test_postgresql", "test_races", "test_rebuild", "test_recordings", "test_schema",
    "test_sharing", "test_silent_catalogue", "test_snapshot", "test_throttle",
})  # fmt: skip
"""Those in which a database of its own kind matters most; the others run on PostgreSQL with what takes
longer."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    path = metafunc.definition.path
    asks = "catalogue_kind" in metafunc.fixturenames and path.parent in ON_BOTH
    marks = metafunc.definition.iter_markers("parametrize")
    if asks and not any(mark.args[0] == "catalogue_kind" for mark in marks):
        later = () if path.stem in ALWAYS else (pytest.mark.long,)
        kinds = ("sqlite", pytest.param("postgresql", marks=(*SERVED, *later)))
        metafunc.parametrize("catalogue_kind", kinds)


@pytest.fixture
def catalogue_kind() -> str:
    """What the catalogue is kept in."""
    return "sqlite"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server of this run's own."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server is installed (postgresql)")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def catalogue_url(catalogue_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a catalogue may be made."""
    if catalogue_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalogue.db'}"
        return
    empty = "catalogue" not in request.fixturenames
    with request.getfixturevalue("postgres").database(empty=empty) as url:
        yield url


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[str]:
    """A migrated catalogue that this process has open; its URL."""
    schema.migrate(catalogue_url)
    opened = database.open_catalogue(catalogue_url)
    yield catalogue_url
    getattr(opened, "close_all", opened.close)()


@pytest.fixture
def tone() -> Callable[..., bytes]:
    """Makes a WAV of PCM 16 bit: a square wave is enough where nobody listens."""

    def make(ms: int = 1000, rate: int = 8000, channels: int = 1, level: int = 1000) -> bytes:
        out = io.BytesIO()
        with wave.open(out, "wb") as sound:
            sound.setnchannels(channels)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            frames = rate * ms // 1000
            samples = ((level if at // 10 % 2 else -level) for at in range(frames) for _ in range(channels))
            sound.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))
        return out.getvalue()

    return make


@dataclass
class House:
    """A whole installation in a folder, without processes: keys, bucket, catalogue, spool, one customer
    with a line that is announced in French."""

    root: Path
    catalogue_url: str
    clock: Clock
    entropy: Repeating
    tenant: str
    line: LineRow
    announcement: Announcement
    means: Services

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def bucket(self) -> Path:
        return self.root / "bucket"

    def objects(self) -> list[str]:
        """Keys of what is in the bucket."""
        return sorted(self.means.store.list(""))

    @property
    def trust(self) -> Trust:
        """What signed statements are checked with."""
        return Trust(self.means.root)

    def limit(
        self, keep_days: int | None, *, purpose: str | None = None, line: str | None = None, **more: Any
    ) -> None:
        """Set a retention limit, as the operator does (``None``: as announced again)."""
        means, tenant = self.means, more.pop("tenant", self.tenant)
        at = more.pop("now", None) or self.clock()
        changes = Changes(means.store, means.root, means.signer, lambda: at, self.entropy)
        wish = retention_limits.Wish(purpose, line, keep_days, **more)
        retention_limits.set_limit(changes, tenant, wish, By("operator"))

    def confirm_holds(self) -> bool:
        """After a rebuild: the holds are complete."""
        signer = self.means.signer
        return hold_review.confirm_holds(signer, self.trust, self.clock(), self.entropy)

    def start(self, **changes) -> CallStart:
        """A call that arrives now."""
        values = {
            "recording": str(uuid7(self.clock(), self.entropy)),
            "tenant": self.tenant,
            "line": self.line.id,
            "number": self.line.number,
            "direction": "inbound",
            "node": "node1",
            "channel": "01f2b6c6-channel",
            "outside": Party("e164", "+32470123456"),
            "started_at": self.clock(),
            "formats": ("opus", "wav"),
            "announcement": self.announcement,
        }
        values |= changes
        return CallStart(**({"uptime": since_boot(values["started_at"])} | values))

    def take(
        self,
        talk_ms: int = 3000,
        announced: bool = True,
        bridged: bool = True,
        asked: str | None = None,
        **changes,
    ) -> Path:
        """A finished call in the spool: the announcement, then ``talk_ms`` of two tones.  ``asked``: the
        colleague asks in their own words whether it may be kept for a year, and that is answered."""
        if asked is not None:
            said = PromptSound("Said.", "5a" * 32, 1000)
            changes = {"keep": Keep("agreement", 365, None, said, said, said, said)} | changes
        start = self.start(**changes)
        folder = layout.open_take(self.spool, start)
        prompt = self._prompt()
        at, told = start.started_at, timedelta(milliseconds=len(prompt) // 8)
        talk = np.arange(talk_ms * 8)
        right = np.concatenate([prompt if announced else prompt * 0, _tone(talk, 440)])
        left = np.concatenate([_tone(np.arange(len(prompt)), 1000), _tone(talk, 660)])
        write_wav(folder / layout.AUDIO, np.stack([left, right], axis=1))
        marks = [
            Mark(at, "recording_started", {}),
            Mark(at, "announcement_started", {}),
            Mark(at + told, "announcement_finished", {}),
        ]
        if bridged:
            marks.append(Mark(at + told, "bridged", {"party": "extension", "value": "1001"}))
        if asked is not None:
            by = {} if asked == "none" else {"by": "colleague", "how": "own_words"}
            if asked == "yes":
                heard = told // timedelta(milliseconds=1) + 1200
                by |= {"voice_from_ms": str(heard), "voice_to_ms": str(heard + 500)}
            marks.append(Mark(at + told + timedelta(seconds=1), "keep_asked", {"how": "own_words"}))
            answer = {"answer": asked, **by}
            marks.append(Mark(at + told + timedelta(seconds=2), "keep_answered", answer))
        ended = at + told + timedelta(milliseconds=talk_ms)
        marks += [Mark(ended, "hangup", {"cause": "NORMAL_CLEARING"}), Mark(ended, "recording_stopped", {})]
        for mark in marks:
            layout.append_mark(folder, mark)
        inside = Party("extension", "1001") if bridged else None
        layout.close_take(folder, CallEnd("recorded", None, ended, inside))
        return folder

    def office(self) -> Changes:
        """What the operator decides with about a customer who leaves."""
        given = self.means
        return Changes(given.store, given.root, given.signer, self.clock, self.entropy)

    def unrecorded(self, reason: str = "hung_up_in_announcement", **changes) -> Path:
        """A call that was not recorded, in the spool."""
        start = self.start(**changes)
        folder = layout.open_take(self.spool, start)
        layout.close_take(folder, CallEnd("not_recorded", reason, start.started_at, None))
        return folder

    def work(self, folder: Path) -> None:
        """Every stage of a take."""
        while stages.step(folder, self.clock(), self.means):
            pass

    def _prompt(self) -> np.ndarray:
        sound = announcement_in(self.announcement.language)
        assert sound.sha256 == self.announcement.sha256
        with wave.open(str(sound.path)) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def since_boot(at: datetime) -> Uptime:
    """The clock that nobody sets, of a machine whose other clock was always right."""
    return Uptime("this start", at.timestamp())


def _tone(at: np.ndarray, hertz: float) -> np.ndarray:
    return (6000 * np.sin(2 * np.pi * hertz * at / 8000)).astype("<i2")


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(samples.shape[1])
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture
def house(tmp_path: Path, catalogue: str, clock: Clock, entropy: Repeating) -> House:
    """See :class:`House`."""
    return make_house(tmp_path, catalogue, clock, entropy)


def make_house(root: Path, catalogue: str, clock: Clock, entropy: Repeating) -> House:
    """A house on the catalogue that this process has open."""
    keys = root / "keys"
    signing.init(keys, clock(), entropy)
    keyring = Keyring(load_kek(keys / signing.KEK))
    means = Services(
        store=DirectoryStore(root / "bucket", entropy),
        keyring=keyring,
        signer=signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT),
        root=signing.load_public(keys / signing.ROOT_PUBLIC),
        spool=root / "spool",
        snapshot=root / "snapshot",
        now=clock,
        entropy=entropy,
        uptime=lambda: since_boot(clock()),
    )
    tenant = str(uuid7(clock(), entropy))
    tenants.create_tenant(
        tenant,
        name="Boulangerie Martin",
        wrapped_key=keyring.new_tenant_key(tenant, entropy).to_bytes().decode(),
        now=clock(),
        entropy=entropy,
    )
    sound = announcement_in("fr")
    row = announcements.create_announcement(
        tenant,
        name="default",
        language=sound.language,
        text=sound.text,
        purposes=sound.purposes,
        keep_days=sound.keep_days,
        wav=sound.path.read_bytes(),
        now=clock(),
        entropy=entropy,
    )
    line = lines.create_line(tenant, number="+3225550100", announcement=row.id, now=clock(), entropy=entropy)
    told = Announcement(
        row.id, row.version, row.language, row.text, row.purposes, row.keep_days, row.sound, row.duration_ms
    )
    (root / "spool").mkdir()
    return House(root, catalogue, clock, entropy, tenant, line, told, means)
