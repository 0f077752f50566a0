"""Fuzzing targets, one for each surface, with a ``check`` that must hold for any bytes."""

from __future__ import annotations

import importlib
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

CORPUS = Path(__file__).parent / "corpus"

NAMES = (
    "framing", "events", "connection", "calls", "bypassed", "commands", "wav", "decoder", "take", "manifest",
    "documents", "amendments", "notes", "stamps", "mails", "control", "backup", "folder", "store", "panel",
    "wire",
)  # fmt: skip
"""Modules of ``tests/fuzz/targets``."""

HANG = 60.0
"""Seconds that one input may take on a busy machine."""


class Hang(AssertionError):
    """An input took too long."""


@dataclass(frozen=True)
class Target:
    """``check`` raises for bytes that break the promise; ``seeds`` are good starts; ``longest`` bytes are
    enough to reach everything; ``instrument`` the packages whose branches guide a search."""

    name: str
    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    longest: int
    instrument: tuple[str, ...]

    def corpus(self) -> list[Path]:
        return sorted((CORPUS / self.name).glob("*"))

    def guarded(self, data: bytes) -> None:
        """Run the check within its time limit."""
        with time_limit(HANG):
            self.check(data)


def load(name: str) -> Target:
    module = importlib.import_module(f"tests.fuzz.targets.{name}")
    module.check(b"")  # set up its fixtures now, outside the first input's time limit
    return Target(name, module.check, tuple(module.SEEDS), module.LONGEST, tuple(module.INSTRUMENT))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`Hang` in the main thread when the time is over."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"still busy after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutated_seed(seeds: tuple[bytes, ...], longest: int, chance: random.Random) -> bytes:
    """Bytes for an engine that is not guided: a mutated seed, or random bytes."""
    if not seeds or chance.random() < 0.3:
        return chance.randbytes(int(longest * chance.random() ** 3))
    data = bytearray(chance.choice(seeds))
    for _ in range(1 + int(8 * chance.random() ** 2)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1:
                data[at:at] = chance.randbytes(1 + chance.randrange(8))
            case 2:
                del data[at : at + 1 + chance.randrange(16)]
            case 3 if data:
                data[at % len(data)] = chance.choice(b"\x00\x01\x7f\x80\xff\n\r %:;\"'\\{}")
            case 4:
                piece = data[at : at + 1 + chance.randrange(32)]
                data[at:at] = piece
            case _:
                other = chance.choice(seeds)
                start = chance.randrange(len(other) + 1)
                data[at:at] = other[start : start + chance.randrange(64)]
    return bytes(data[:longest])
