"""Composes prompts from sentences: the text, word for word, and the WAV that speaks it.

Prompts are composed when an announcement or a line is saved, never during a call. The same input gives the
same bytes, so a hash that is sealed with a recording can be reproduced.
"""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal

from recorder.domain.call_plan import MODES, Mode
from recorder.errors import ConfigError
from recorder.prompts.dsp import RATE, Samples, join_clips, normalise, resample, trim_silence, wav_bytes
from recorder.prompts.purposes import standard
from recorder.prompts.sentences import (
    ASKED_FOR,
    PURPOSES,
    RECORDED_FOR,
    SHORT,
    WHO_IS_THERE,
    ClipText,
    Wording,
    check_language,
    clip_text,
    clips_of,
    purpose_sentences,
)
from recorder.prompts.sound_check import LONGEST_S, RATES, check_sound, read_samples
from recorder.prompts.sound_sources import Sources

PAUSE_S = 0.15
"""Between two sentences, in addition to the silence at their ends."""

GREETING_PAUSE_S = 0.5
"""After a customer's greeting."""

ROOM_SENTENCES: Final = (
    "code", "wrong", "closed", "away", "declined", "unrecognised", "unplayed",
    "enter", "keys", "led", "overtaken", "other-key", "leading", "marked", "unmarked", "unheard",
    "joined-company", "joined-caller", "joined-helper", "left",
    "text-on-page", "confirm", "confirmed", "agreed", "not-now", "text-changed", "unconfirmed",
)  # fmt: skip
"""What callers to rooms hear whole: as they call; in the room, of its keys and why one did nothing; of who
comes and goes; and of the outcome that they confirm."""

OWN_CALL_SENTENCES: Final = (
    "own-menu", "own-keys", "own-requests", "own-wait", "own-request", "own-taken-back", "own-impossible",
    "goodbye",
)  # fmt: skip
"""What somebody hears who has opened their own call by telephone, whose language is known."""

COUNTED_UP_TO: Final = 5
"""How many people in a room are counted: of more, it is said that there are more."""

SHIPPED = Sources()
NO_SENTENCES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Greeting:
    """A customer's own sound, heard first: its text, word for word, and the WAV.

    ``says_all``: the customer attests that it contains everything required (that the call is recorded, the
    purposes, the retention period, and the key if there is one), so that nothing is said after it.
    """

    text: str
    wav: bytes
    says_all: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """A composed prompt: its text, word for word, the WAV's bytes, and its length. ``origins`` are the names
    and sources of its clips, in order."""

    language: str
    text: str
    wav: bytes
    sample_rate: int
    duration_ms: int
    origins: tuple[tuple[str, str], ...] = field(compare=False)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the WAV's bytes, in hex."""
        return hashlib.sha256(self.wav).hexdigest()

    @property
    def pcm(self) -> bytes:
        """Its samples alone: PCM 16 bit, little-endian, one channel."""
        with wave.open(io.BytesIO(self.wav)) as sound:
            return bytes(sound.readframes(sound.getnframes()))


def announcement(
    language: str,
    *,
    mode: Mode,
    purposes: Sequence[str],
    keep_days: int,
    own: Mapping[str, str] = NO_SENTENCES,
    greeting: Greeting | None = None,
    wording: Wording = SHORT,
    sources: Sources = SHIPPED,
    sample_rate: int = 8000,
) -> Rendered:
    """The announcement, played before a call is recorded; in opt-in after the yes, without the greeting,
    which preceded the question.

    ``purposes`` are codes; ``own`` has the sentence for each that is not a standard one. Raises
    :class:`ConfigError`: ``prompt.*`` for text that cannot be spoken or an unsuitable greeting, ``tts.*`` if
    a sentence has no sound."""
    if mode not in MODES:
        raise ConfigError("prompt.mode", f"there is no mode {mode!r}", f"one of {', '.join(MODES)}")
    parts = _parts(mode, language, wording, purposes=purposes, keep_days=keep_days, own=own)
    return _render(language, parts, sources, sample_rate, None if mode == "opt-in" else greeting)


def opt_in_question(
    language: str,
    *,
    purposes: Sequence[str],
    keep_days: int,
    own: Mapping[str, str] = NO_SENTENCES,
    greeting: Greeting | None = None,
    wording: Wording = SHORT,
    sources: Sources = SHIPPED,
    sample_rate: int = 8000,
) -> Rendered:
    """The opt-in question, asked before anything is recorded: 1 is yes. Raises as :func:`announcement`
    does."""
    parts = _parts("opt-in-question", language, wording, purposes=purposes, keep_days=keep_days, own=own)
    return _render(language, parts, sources, sample_rate, greeting)


def line_sentence(
    sentences: Sequence[tuple[str, Mapping[str, str]]],
    *,
    purposes: Sequence[str],
    keep_days: int,
    sources: Sources = SHIPPED,
    sample_rate: int = 8000,
) -> Rendered:
    """The information that colleagues can call: that calls on their line are recorded, the purposes and the
    retention period, in each language of ``sentences``, which come with the customer's own sentences for
    purposes that are not standard. The :class:`Rendered` has the first language. Raises as
    :func:`announcement` does."""
    parts = [
        part
        for language, own in sentences
        for part in _parts("line", language, purposes=purposes, keep_days=keep_days, own=own)
    ]
    return _render(sentences[0][0], parts, sources, sample_rate)


def transfer_notice(language: str, *, sources: Sources = SHIPPED, sample_rate: int = 8000) -> Rendered:
    """The transfer notice to a colleague who joins later: that the call is recorded."""
    return _render(language, _parts("joining", language), sources, sample_rate)


def transfer_question(
    language: str, *, mode: Mode, sources: Sources = SHIPPED, sample_rate: int = 8000
) -> Rendered:
    """The transfer notice with a question: the key that refuses (opt-out), or the request for consent
    (opt-in)."""
    if mode not in ("opt-out", "opt-in"):
        raise ConfigError("prompt.mode", f"the mode {mode!r} asks nobody", "opt-out or opt-in")
    return _render(language, _parts(f"joining-{mode}", language), sources, sample_rate)


def wrong_key(
    language: str, *, wording: Wording = SHORT, sources: Sources = SHIPPED, sample_rate: int = 8000
) -> Rendered:
    """The reminder after a meaningless key, in opt-out: the key that refuses."""
    return _render(language, _parts("wrong-key-opt-out", language, wording), sources, sample_rate)


def not_recorded(language: str, *, sources: Sources = SHIPPED, sample_rate: int = 8000) -> Rendered:
    """That the call is not recorded, after a refusal or without a yes."""
    return _render(language, _parts("not-recorded", language), sources, sample_rate)


def language_menu(
    languages: Sequence[str], *, sources: Sources = SHIPPED, sample_rate: int = 8000
) -> Rendered:
    """The menu of two to nine languages, each named in itself, with its key: 1 for the first. The
    :class:`Rendered` has the first language."""
    if isinstance(languages, str) or not 2 <= len(set(languages)) == len(languages) <= 9:
        raise ConfigError(
            "prompt.languages", f"{languages!r} is no choice of languages", "two languages or more, each once"
        )
    parts = [clip_text("language", language, key=key) for key, language in enumerate(languages, start=1)]
    return _render(languages[0], parts, sources, sample_rate)


def keep_question(
    language: str, *, wording: Wording = SHORT, sources: Sources = SHIPPED, sample_rate: int = 8000
) -> Rendered:
    """The keep question, to both: may the recording be kept, so that the agreement stays clear? 1 is yes, 2
    is no."""
    return _render(language, _parts("keep-question", language, wording), sources, sample_rate)


def agreed(
    language: str,
    *,
    keep_days: int,
    wording: Wording = SHORT,
    sources: Sources = SHIPPED,
    sample_rate: int = 8000,
) -> Rendered:
    """The outcome of a yes, to both: that the recording is kept, and how long."""
    return _render(language, _parts("agreed", language, wording, keep_days=keep_days), sources, sample_rate)


def declined(
    language: str,
    *,
    destroyed: bool,
    wording: Wording = SHORT,
    sources: Sources = SHIPPED,
    sample_rate: int = 8000,
) -> Rendered:
    """The outcome of a no, to both: the recording is deleted at the end of the call, or kept only as
    announced."""
    name = "declined-destroyed" if destroyed else "declined"
    return _render(language, _parts(name, language, wording), sources, sample_rate)


def unanswered(
    language: str,
    *,
    destroyed: bool,
    wording: Wording = SHORT,
    sources: Sources = SHIPPED,
    sample_rate: int = 8000,
) -> Rendered:
    """The outcome of silence, to both, as in :func:`declined`."""
    name = "unanswered-destroyed" if destroyed else "unanswered"
    return _render(language, _parts(name, language, wording), sources, sample_rate)


def ask_now(language: str, *, sources: Sources = SHIPPED, sample_rate: int = 8000) -> Rendered:
    """The cue to the colleague who asks in their own words: ask now."""
    return _render(language, _parts("ask-now", language), sources, sample_rate)


def delete_question(language: str, *, sources: Sources = SHIPPED, sample_rate: int = 8000) -> Rendered:
    """The confirmation of a deletion during the call, to the colleague alone: 1 confirms."""
    return _render(language, _parts("delete-question", language), sources, sample_rate)


def deleted(language: str, *, sources: Sources = SHIPPED, sample_rate: int = 8000) -> Rendered:
    """The outcome of a deletion, to both: the recording was deleted."""
    return _render(language, _parts("deleted", language), sources, sample_rate)


def verification_code(
    language: str, digits: str, opening: str, *, sources: Sources = SHIPPED, sample_rate: int = 8000
) -> Rendered:
    """The prompt of a verification call: its ``opening``, and the code, digit by digit, twice."""
    read = [clip_text("digit", language, key=int(each)) for each in digits]
    again = _parts("once-more", language)
    return _render(language, [*_parts(opening, language), *read, *again, *read], sources, sample_rate)


def room_sentence(
    name: str, languages: Sequence[str], *, sources: Sources = SHIPPED, sample_rate: int = 8000
) -> Rendered:
    """What somebody hears who listens by telephone, one of :data:`ROOM_SENTENCES` or
    :data:`OWN_CALL_SENTENCES`, in one language after the other. The :class:`Rendered` has the first
    language."""
    parts = [part for language in languages for part in _parts(f"room-{name}", language)]
    return _render(languages[0], parts, sources, sample_rate)


@dataclass(frozen=True, slots=True)
class RoomPeople:
    """How many people are in a room: of the ``company``, other ``callers`` who were in the call, and
    ``helpers``, who were not."""

    company: int = 0
    callers: int = 0
    helpers: int = 0


def room_question(
    language: str,
    *,
    people: RoomPeople,
    helpers: bool = False,
    first: bool = False,
    was_recorded: bool = True,
    sources: Sources = SHIPPED,
    sample_rate: int = 8000,
) -> Rendered:
    """What somebody is told before they listen by telephone: who is there already, what it is for, that it is
    noted, and the key for yes; the person who ``was_recorded`` also what they will hear, and with whom.
    ``helpers``: somebody who was not in the call listens, too; ``first``: they have not accepted the
    invitation before."""
    name = f"room-question{'-helpers' if helpers else ''}{'-first' if first else ''}"
    name = name if was_recorded else "room-question-others"
    return _render(language, _parts(name, language, people=people), sources, sample_rate)


def room_people(
    language: str, people: RoomPeople, *, sources: Sources = SHIPPED, sample_rate: int = 8000
) -> Rendered:
    """Who is in a room."""
    return _render(language, _people_parts(people, language), sources, sample_rate)


CallSide = Literal["company", "you", "others"]

CALL_SIDES: tuple[CallSide, ...] = ("company", "you", "others")
"""Who listens to somebody's own call."""


@dataclass(frozen=True, slots=True)
class CallListen:
    """A listen to somebody's own call: whose it was, the code of its purpose, and how many days ago."""

    side: CallSide
    purpose: str
    days_ago: int


def own_call_listens(
    language: str,
    counts: Mapping[CallSide, int],
    latest: Sequence[CallListen],
    *,
    sources: Sources = SHIPPED,
    sample_rate: int = 8000,
) -> Rendered:
    """Who has listened to somebody's own call: how often each side did, and the ``latest`` listens."""
    parts = list[ClipText]()
    for side, count in counts.items():
        parts += [clip_text(f"room-own-{side}", language), *_digits(count, language)]
    if latest:
        parts.append(clip_text("room-own-latest", language))
    for each in latest:
        by = "by-company" if each.side == "company" else each.side
        why = each.purpose if each.purpose in standard() else "other"
        parts += [clip_text(f"room-own-{by}", language), clip_text(f"heard-for-{why}", language)]
        ago = [clip_text("room-own-days-ago", language), *_digits(each.days_ago, language)]
        parts += ago if each.days_ago > 0 else [clip_text("room-own-today", language)]
    return _render(language, parts, sources, sample_rate)


def own_call_days_left(
    language: str, days: int | None, *, sources: Sources = SHIPPED, sample_rate: int = 8000
) -> Rendered:
    """How many days are left until somebody's own call is deleted; ``None`` for one that is kept for an open
    question."""
    parts = [clip_text("room-own-held", language)]
    if days is not None:
        parts = [clip_text("room-own-days-left", language), *_digits(days, language)]
    return _render(language, parts, sources, sample_rate)


def _digits(number: int, language: str) -> list[ClipText]:
    return [clip_text("digit", language, key=int(each)) for each in str(number)]


def room_name(language: str, words: str, *, sources: Sources = SHIPPED, sample_rate: int = 8000) -> Rendered:
    """Words with somebody's name. Raises :class:`ConfigError` (``tts.*``) without a speech engine."""
    return _render(language, [_free_text(words, language)], sources, sample_rate)


def room_proposal(
    language: str,
    outcome: str,
    text: str,
    keep_days: int | None,
    *,
    sources: Sources = SHIPPED,
    sample_rate: int = 8000,
) -> Rendered:
    """How somebody proposes to go on: the kind of ``outcome``, the ``text`` that its author wrote, and for
    how long the recordings are then kept. Raises :class:`ConfigError` without a speech engine, and for too
    long a text."""
    begin = [clip_text(name, language) for name in ("room-proposed", f"room-{outcome.replace('_', '-')}")]
    end = [] if keep_days is None else [clip_text("kept", language, keep_days=keep_days)]
    uncached = replace(sources, prompts=None)  # what somebody wrote is kept nowhere
    return _render(language, [*begin, _free_text(text, language), *end], uncached, sample_rate)


def _free_text(text: str, language: str) -> ClipText:
    """Words that somebody wrote, for a speech engine alone."""
    words = " ".join(text.split())
    return ClipText(f"text-{hashlib.sha256(words.encode()).hexdigest()[:12]}", language, words, words)


def _people_parts(people: RoomPeople, language: str) -> list[ClipText]:
    count = people.company + people.callers + people.helpers
    if count == 0:
        return [clip_text("room-nobody", language)]
    if count == 1:
        found = [clip_text("room-somebody", language)]
    elif count <= COUNTED_UP_TO:
        found = [clip_text("room-people", language, key=count)]
    else:
        found = [clip_text("room-many", language)]
    roles = {"company": people.company, "caller": people.callers, "helper": people.helpers}
    return found + [clip_text(f"room-has-{role}", language) for role, here in roles.items() if here]


def _parts(
    name: str,
    language: str,
    wording: Wording = SHORT,
    *,
    purposes: Sequence[str] = (),
    keep_days: int | None = None,
    own: Mapping[str, str] = NO_SENTENCES,
    people: RoomPeople | None = None,
) -> list[ClipText]:
    check_language(language)
    found: list[ClipText] = []
    for part in clips_of(name, wording):
        if part in (PURPOSES, RECORDED_FOR, ASKED_FOR):
            found += purpose_sentences(purposes, language, own, part)
        elif part == WHO_IS_THERE:
            found += _people_parts(people or RoomPeople(), language)
        else:
            found.append(clip_text(part, language, keep_days=keep_days))
    return found


def _render(
    language: str,
    parts: Sequence[ClipText],
    sources: Sources,
    sample_rate: int,
    greeting: Greeting | None = None,
) -> Rendered:
    if sources.prompts is None:
        return _compose(language, parts, sources, sample_rate, greeting)
    key = (language, tuple(parts), sample_rate, greeting)
    if key not in sources.prompts:
        sources.prompts[key] = _compose(language, parts, sources, sample_rate, greeting)
    prompt: Rendered = sources.prompts[key]
    return prompt


def _compose(
    language: str,
    parts: Sequence[ClipText],
    sources: Sources,
    sample_rate: int,
    greeting: Greeting | None,
) -> Rendered:
    if sample_rate not in RATES:
        raise ConfigError("prompt.rate", f"announcements cannot be made at {sample_rate} Hz", "8000 or 16000")
    texts: list[str] = []
    pieces: list[Samples] = []
    pauses: list[float] = []
    origins: list[tuple[str, str]] = []
    if greeting is not None:
        texts.append(_greeting_text(greeting))
        pieces.append(_greeting_sound(greeting))
        pauses.append(0.0)
        origins.append(("greeting", "recorded"))
        parts = () if greeting.says_all else parts
    for part in parts:
        clip = sources.clip(part)
        texts.append(part.text)
        pauses.append(GREETING_PAUSE_S if len(pieces) == 1 and greeting is not None else PAUSE_S)
        pieces.append(clip.samples)
        origins.append((part.clip, clip.origin))
    if greeting is None and {origin for _, origin in origins} == {"shipped"}:
        wav, seconds = _join_shipped(tuple(parts), sample_rate)
    else:
        wav, seconds = _join(pieces, pauses, sample_rate)
    if seconds > LONGEST_S:
        raise ConfigError(
            "prompt.length",
            f"the whole prompt takes {seconds:.0f} s",
            f"at most {LONGEST_S:.0f} s: a shorter greeting, or fewer purposes",
        )
    return Rendered(
        language=language,
        text=" ".join(texts),
        wav=wav,
        sample_rate=sample_rate,
        duration_ms=round(seconds * 1000),
        origins=tuple(origins),
    )


def _join(pieces: Sequence[Samples], pauses: Sequence[float], sample_rate: int) -> tuple[bytes, float]:
    """The WAV of clips in sequence, and its length in seconds."""
    sound = resample(join_clips(pieces, pauses), RATE, sample_rate)
    return wav_bytes(sound, sample_rate), len(sound) / sample_rate


@lru_cache(maxsize=64)
def _join_shipped(parts: tuple[ClipText, ...], sample_rate: int) -> tuple[bytes, float]:
    """The WAV of shipped clips, and its length: panel and worker ask for the same prompts again and again."""
    return _join([SHIPPED.clip(part).samples for part in parts], [PAUSE_S] * len(parts), sample_rate)


def _greeting_text(greeting: Greeting) -> str:
    text = " ".join(greeting.text.split())
    if not text or not text.isprintable():
        raise ConfigError(
            "prompt.greeting_text",
            "the greeting has no text",
            "write down its words exactly: they are sealed with every recording",
        )
    return text


def _greeting_sound(greeting: Greeting) -> Samples:
    check_sound(greeting.wav, "the greeting")
    return normalise(trim_silence(resample(*read_samples(greeting.wav, "the greeting"), RATE)))
