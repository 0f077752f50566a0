"""The signals of all parties in a plan of mixed calls, recognisable wherever they are heard.

A signal is the sum of three pitches with a whole number of waves in 20 ms. So all its windows of 20 ms are
alike, a lost frame changes nothing, and any window identifies the signal. Two of the pitches identify the
party (or a sentence's step), the third one the word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

RATE = 8000
FRAME = RATE // 50
HERTZ = 50
"""Samples of a frame of 20 ms, and what a bin of its spectrum is."""

PAIR_BINS = range(15, 58)
WORD_BINS = (*range(58, 69), *range(4, 9))
PAUSED_BIN, DONE_BIN = 500 // HERTZ, 700 // HERTZ
"""The tones of a pause and of its end: none of the pitches of a signal is theirs."""

WORDS = len(WORD_BINS)
STEPS = WORDS
STEP_S = 0.08
EDGE_S = 0.05
SENTENCES = 16
PAIRS = tuple(combinations(PAIR_BINS, 2))
PARTIES = len(PAIRS) - SENTENCES * STEPS
"""How many parties can be told apart; the pairs behind theirs are the sentences'."""

LOUD = 0.2
"""Of each pitch, as a share of full scale."""

SILENCE, UNKNOWN = -1, -2


@dataclass(frozen=True, slots=True, order=True)
class Word:
    """``who`` is a party's number, or a sentence's number plus :data:`PARTIES` (then ``word`` is its
    step)."""

    who: int
    word: int

    @property
    def sentence(self) -> int | None:
        """The sentence of which this is a step."""
        return None if self.who < PARTIES else self.who - PARTIES

    @property
    def code(self) -> int:
        """The word as a number."""
        return self.who * WORDS + self.word

    @classmethod
    def of(cls, code: int) -> Word | None:
        """Return the word of a number; ``None`` for silence and unknown sound."""
        return cls(*divmod(code, WORDS)) if code >= 0 else None


def _pair(word: Word) -> tuple[int, int]:
    sentence = word.sentence
    return PAIRS[word.who] if sentence is None else PAIRS[PARTIES + sentence * STEPS + word.word]


_CODES = {
    (*_pair(word), WORD_BINS[word.word]): word.code
    for who in range(PARTIES + SENTENCES)
    for word in (Word(who, each) for each in range(WORDS))
}


@cache
def frame(word: Word) -> NDArray[np.float64]:
    """Return its 20 ms, from -1 to 1."""
    low, high = _pair(word)
    at = np.arange(FRAME) / FRAME
    phase = np.random.default_rng(word.code).uniform(0, 2 * np.pi, 3)
    bins = (low, high, WORD_BINS[word.word])
    return sum(LOUD * np.sin(2 * np.pi * each * at + turn) for each, turn in zip(bins, phase, strict=True))


def sentence(number: int, rate: int = RATE) -> NDArray[np.float32]:
    """Return a sentence's sound: its steps, and the silence at the end of every sentence of the product (the
    switch may omit 20 ms where a playback ends)."""
    steps = [np.tile(frame(Word(PARTIES + number, step)), round(STEP_S * 50)) for step in range(STEPS)]
    sound = np.concatenate([*steps, np.zeros(round(EDGE_S * RATE))])
    if rate != RATE:
        spectrum = np.fft.rfft(sound)
        sound = np.fft.irfft(spectrum, len(sound) * rate // RATE) * (rate / RATE)
    return sound.astype(np.float32)


def classify(frames: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each window of 20 ms (a row, -1 to 1) its code, and the bin of a pause tone in it (0:
    none)."""
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / (FRAME / 2) ** 2
    total = power[:, 1:].sum(axis=1)
    codes = np.full(len(frames), UNKNOWN, dtype=np.int64)
    codes[total < 1e-4] = SILENCE
    pairs = np.argsort(power[:, PAIR_BINS.start : PAIR_BINS.stop], axis=1)[:, -2:] + PAIR_BINS.start
    words = np.array(WORD_BINS)[np.argmax(power[:, WORD_BINS], axis=1)]
    bins = np.concatenate([np.sort(pairs, axis=1), words[:, None]], axis=1)
    parts = np.take_along_axis(power, bins, axis=1)
    pure = (total >= 1e-4) & (parts.sum(axis=1) > 0.75 * total) & (parts.min(axis=1) > 0.1 * total)
    for row in np.flatnonzero(pure):
        codes[row] = _CODES.get(tuple(bins[row].tolist()), UNKNOWN)
    tones = np.zeros(len(frames), dtype=np.int64)
    for each in (PAUSED_BIN, DONE_BIN):
        tones[(power[:, each] > 5e-4) & (power[:, each] > 8 * power[:, each - 1])] = each
    return codes, tones


@dataclass(frozen=True, slots=True)
class Run:
    """A party's word without another's between, heard for ``frames`` between two moments (seconds)."""

    word: Word
    begin: float
    end: float
    frames: int


def runs(codes: Iterable[int], times: Iterable[float] | None = None, *, fewest: int = 3) -> list[Run]:
    """Return the sequence of runs, without those shorter than ``fewest`` frames, silence and unknown
    sound."""
    moments: Iterator[float] | Iterable[float]
    moments = (index * FRAME / RATE for index in range(1 << 62)) if times is None else times
    found: list[Run] = []
    for code, at in zip(codes, moments):  # noqa: B905
        word = Word.of(code)
        if word is None:
            continue
        end = at + FRAME / RATE
        if found and found[-1].word == word:
            found[-1] = Run(word, found[-1].begin, end, found[-1].frames + 1)
        else:
            found.append(Run(word, at, end, 1))
    return [run for run in found if run.frames >= fewest]


# --- G.711


def _mulaw_values() -> NDArray[np.float64]:
    code = ~np.arange(256) & 0xFF
    size = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -size, size) / 32768


def _alaw_values() -> NDArray[np.float64]:
    code = np.arange(256) ^ 0x55
    exponent, low = (code & 0x70) >> 4, (code & 0x0F) << 4
    size = np.where(exponent == 0, low + 8, (low + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size) / 32768


VALUES = {0: _mulaw_values(), 8: _alaw_values()}
"""What each byte is, by RTP's number of the codec."""


@cache
def _bytes(codec: int) -> NDArray[np.uint8]:
    """Return the nearest byte for each of 65,536 values."""
    values = VALUES[codec]
    order = np.argsort(values, kind="stable")
    levels = np.arange(-32768, 32768) / 32768
    right = np.clip(np.searchsorted(values[order], levels), 1, 255)
    nearer = levels - values[order][right - 1] <= values[order][right] - levels
    return order[right - nearer.astype(int)].astype(np.uint8)


@cache
def payload(word: Word | None, codec: int) -> bytes:
    """Return the payload of a word; ``None`` is silence."""
    sound = np.zeros(FRAME) if word is None else frame(word)
    return _bytes(codec)[np.round(sound * 32768).astype(int) + 32768].tobytes()


def heard_in(payloads: list[bytes], codec: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return :func:`classify` of received payloads."""
    content = np.frombuffer(b"".join(payloads), dtype=np.uint8).reshape(len(payloads), FRAME)
    return classify(VALUES[codec][content])
