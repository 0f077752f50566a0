"""Observations of a run: plain values, collected by ``evidence.py`` and judged by ``model.py``.

Times are seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.chaos.plan import CallPlan

Span = tuple[float, float]


@dataclass(slots=True)
class CallSeen:
    """A call as its own switch reported it.  ``state`` is the last ``accord_state`` seen, ``left`` the reason
    why it was left unrecorded (``accord_left``).  ``cut``: the switch was killed or stopped during it.
    ``codes`` are the codes that the switch carried out (``pause``, ``resume``, ``mark``), ``pressed`` the
    keys that phones pressed, each with its time."""

    plan: CallPlan
    placed: float
    phases: dict[str, float] = field(default_factory=dict)
    state: str = ""
    left: str = ""
    uuid: str = ""
    ended: float | None = None
    cut: bool = False
    codes: list[tuple[str, float]] = field(default_factory=list)
    pressed: list[tuple[str, str, float]] = field(default_factory=list)

    def press(self, who: str, keys: str) -> float | None:
        """When keys were pressed."""
        return next((at for each, what, at in self.pressed if (each, what) == (who, keys)), None)

    @property
    def over(self) -> float:
        """When it ended; it must have ended."""
        assert self.ended is not None
        return self.ended

    def __str__(self) -> str:
        phase_times = {name: round(at - self.placed, 2) for name, at in self.phases.items()}
        state = f"{self.state}/{self.left}" if self.left else self.state
        parties = (
            (self.plan.called, self.plan.caller)
            if self.plan.outbound
            else (self.plan.caller, self.plan.called)
        )
        keys = [(who, key, round(at - self.placed, 2)) for who, key, at in self.pressed]
        codes_run = [(code, round(at - self.placed, 2)) for code, at in self.codes]
        return (
            f"call {' to '.join(parties)} ({self.plan.callee}), placed {self.placed:.2f}: "
            f"{phase_times}, {state or 'no state'}{', cut' if self.cut else ''}, channel {self.uuid}"
            f"{f', pressed {keys}' if keys else ''}{f', done {codes_run}' if codes_run else ''}"
        )


@dataclass(frozen=True, slots=True)
class UnrecordedRow:
    """A row of a call that was not recorded."""

    id: str
    tenant: str | None
    caller: str
    reason: str
    quarantined: bool


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """A row of a recording."""

    id: str
    tenant: str
    caller: str
    prefix: str
    objects: frozenset[str]
    manifest_sha256: str
    announced: bool
    duration_ms: int


@dataclass(frozen=True, slots=True)
class DecryptedSound:
    """What is in a recording's decrypted sound. ``announced_ms`` is where the announcement ends in the right
    channel (``None``: it is not there whole), ``announcement_length_ms`` how long it is, ``loudest_before``
    the loudest sample of the left channel up to its end (of all of it where it is not there), ``voice_ms``
    how much of the external party's tone is in it, ``explained_ms`` how much of the left channel after the
    announcement lies in gaps with a reason, and ``paused_ms`` how much of that in pauses. ``silent`` are
    stretches of zeros in both channels, in milliseconds; ``length_ms`` is all of it. ``answers`` are the yes
    and no to keeping it that the manifest has, ``agreed`` that one of them counts. ``findings`` is what
    ``verify`` says."""

    announced_ms: int | None
    loudest_before: float
    voice_ms: int
    explained_ms: int
    gaps: tuple[str, ...]
    findings: tuple[str, ...]
    announcement_length_ms: int = 0
    paused_ms: int = 0
    length_ms: int = 0
    silent: tuple[tuple[int, int], ...] = ()
    answers: tuple[str, ...] = ()
    agreed: bool = False


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf of the log; ``whole``: it is what its hash says, and says what its row says."""

    tenant: str
    number: int
    kind: str
    recording: str | None
    body: dict[str, object]
    whole: bool


@dataclass(frozen=True, slots=True)
class Play:
    """What a listener got: ``received`` bytes of a sound under a grant, with ``status``; ``right`` where it
    all came and is what was sealed (``None`` where only a part came)."""

    grant: str
    play: str
    recording: str
    status: int
    received: int
    right: bool | None


@dataclass(frozen=True, slots=True)
class ListenRow:
    """A listen's row."""

    id: str
    grant: str
    play: str
    sent_bytes: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The relevant part of the catalogue; ``unsound`` is the database's own integrity report."""

    recordings: tuple[RecordingRow, ...]
    unrecorded: tuple[UnrecordedRow, ...]
    leaves: tuple[Leaf, ...]
    sizes: dict[str, int]
    """The number of leaves by each tenant's row."""
    grants: dict[str, str]
    """Grant to recording."""
    listens: tuple[ListenRow, ...]
    unsound: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessDeath:
    """A process that a fault hit: it ran until then, or until ``stopped`` if it was stopped first."""

    process: str
    at: float


@dataclass(slots=True)
class World:
    """A run up to a moment.  ``watch_spans``: when a daemon was connected to the switch.  ``stalled``: when
    the switch was stopped.  ``bound``: seconds that a call may wait for Accord."""

    calls: list[CallSeen]
    catalogue: Catalogue
    objects: frozenset[str]
    sounds: dict[str, DecryptedSound]
    watch_spans: list[Span]
    stalled: list[Span]
    deaths: list[ProcessDeath]
    plays: list[Play]
    left_in_spool: tuple[str, ...]
    quarantined: tuple[str, ...]
    bound: float
    lists_after: float = 0.0
    """Seconds until a call is in the switch's list of channels, which a daemon reads first."""
    strangers: tuple[str, ...] = ()
    """Processes that should have ended, and ends without a fault."""
    handles: tuple[str, ...] = ()
    """Processes with too many open files."""
