"""Waiting times with the shipped prompts on a real switch, by the samples of the phones.

A phone's clock is the number of packets (20 ms) that it has sent; received audio is placed on that clock, and
prompts are located by comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from recorder.clock import utc_now
from recorder.domain.call_plan import ALONE, NOTICE, OPT_IN, OPT_OUT, Mode
from recorder.domain.line_policy import (
    BEFORE_CONNECTED,
    Announcement,
    ConsentPrompt,
    Keep,
    LinePolicy,
    TransferNotice,
)
from recorder.domain.sentences import TimedSentence
from recorder.prompts import composer
from recorder.prompts.composer import Rendered
from recorder.prompts.purposes import LANGUAGES
from recorder.spool import layout
from recorder.spool.snapshot import write_snapshot
from tests.freeswitch.switches import NUMBER, RATE, until
from tests.freeswitch.telephones.codecs import PCMU, Voice
from tests.freeswitch.telephones.endpoints import Leg
from tests.freeswitch.telephones.rig import PERIOD, PhoneRig
from tests.unit.prompts.lengths import limits

STEP = RATE // 50
PIECE = RATE * 6 // 10
"""Samples of a prompt that are looked for, at either end of it."""

AT_ONCE_S = 1.0
"""From the key to the first sound of what it leads to; a key alone takes 0.16 s to be sent."""

KEPT_DAYS = 365

NUMBERS = count(1)
"""Of the calls, which several threads place."""

OUTBOUND = 50
"""Whom an outbound call goes to is known by the last two digits: this and the call's number."""


@dataclass
class Telephone(Leg):
    """A phone that keeps its received audio, with times by its own clock."""

    ear: list[tuple[int, bytes]] | None = field(default_factory=list)
    packets: list[int] = field(default_factory=list)
    rings: Callable[[], None] = lambda: None

    def listen(self) -> None:
        super().listen()
        assert self.ear is not None
        self.packets += [self._number] * (len(self.ear) - len(self.packets))

    def offer(self, sdp: str) -> str:
        self.rings()
        return super().offer(sdp)

    @property
    def now(self) -> int:
        """The samples that it has sent."""
        return max(0, self._number) * STEP

    def press(self, digits: str) -> int:
        at = self.now
        self.dial(digits)
        return at

    def hears(self, seconds: float) -> None:
        """Wait until it has received ``samples`` more."""
        assert self.ear is not None
        enough = len(self.ear) + round(seconds * 50)
        until("the telephone has heard that", lambda: len(self.ear or ()) >= enough, 60, 0.02)

    def sound_heard(self) -> np.ndarray:
        assert self.ear is not None
        at, placed = -1, []
        for tick, (payload, content) in list(zip(self.packets, self.ear, strict=False)):
            if payload == PCMU.payload:
                at = max(at + 1, tick)
                placed.append((at, content))
        sound = np.zeros((at + 1) * STEP)
        for at, content in placed:
            sound[at * STEP : at * STEP + len(content)] = decoded(content)
        return sound


def decoded(content: bytes) -> np.ndarray:
    """µ-law (G.711) as samples, full scale 1."""
    code = ~np.frombuffer(content, dtype=np.uint8)
    size = ((((code & 0x0F).astype(np.int32) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -size, size) / 32768


def place(samples: np.ndarray, piece: np.ndarray) -> int | None:
    """Return the sample at which a piece of a prompt is heard; ``None`` if it is not."""
    size = len(samples) + len(piece)
    alike = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(piece, size)), size)[: len(samples)]
    energy = np.concatenate([[0.0], np.cumsum(samples**2), np.full(len(piece), (samples**2).sum())])
    there = np.sqrt(np.maximum(energy[len(piece) : len(piece) + len(samples)] - energy[: len(samples)], 1e-3))
    alike /= there * np.sqrt((piece**2).sum())
    best = int(alike.argmax())
    return best if alike[best] > 0.6 else None


@dataclass
class HeardPrompt:
    """A prompt and the position at which it is heard."""

    prompt: Rendered

    @property
    def samples(self) -> np.ndarray:
        return np.frombuffer(self.prompt.wav[44:], dtype="<i2") / 32768

    def begins(self, samples: np.ndarray) -> int:
        at = place(samples, self.samples[:PIECE])
        assert at is not None, f"not heard: {self.prompt.text}"
        return at

    def ends(self, samples: np.ndarray) -> int:
        at = place(samples, self.samples[-PIECE:])
        assert at is not None, f"its end is not heard: {self.prompt.text}"
        return at + PIECE

    def is_cut(self, samples: np.ndarray) -> bool:
        return place(samples, self.samples[-PIECE:]) is None


@dataclass
class Sentences:
    """The sentences of a language."""

    language: str

    def __post_init__(self) -> None:
        options = {"purposes": ["agreement"], "keep_days": 30}
        self.question = HeardPrompt(composer.opt_in_question(self.language, **options))
        self.opt_in_announcement = HeardPrompt(composer.announcement(self.language, mode="opt-in", **options))
        self.may_refuse = HeardPrompt(composer.announcement(self.language, mode="opt-out", **options))
        self.wrong_key = HeardPrompt(composer.wrong_key(self.language))
        self.declined = HeardPrompt(composer.not_recorded(self.language))
        self.keep = HeardPrompt(composer.keep_question(self.language))
        self.cue = HeardPrompt(composer.ask_now(self.language))
        self.keep_result = HeardPrompt(composer.agreed(self.language, keep_days=KEPT_DAYS))
        self.not_kept = HeardPrompt(composer.declined(self.language, destroyed=False))
        self.unanswered = HeardPrompt(composer.unanswered(self.language, destroyed=False))
        self.joiner_question = HeardPrompt(composer.transfer_question(self.language, mode="opt-in"))


SAYS = {language: Sentences(language) for language in LANGUAGES}


class Lines:
    """The lines of the test, with the shipped prompts."""

    def __init__(self, prompts: Path) -> None:
        self._prompts = prompts

    def sound(self, played: HeardPrompt) -> TimedSentence:
        rendered = played.prompt
        (self._prompts / f"{rendered.sha256}.wav").write_bytes(rendered.wav)
        return TimedSentence(rendered.text, rendered.sha256, rendered.duration_ms)

    def line(self, number: int, says: Sentences, mode: Mode, **more: object) -> LinePolicy:
        announcement = self.sound(says.may_refuse if mode == OPT_OUT else says.opt_in_announcement)
        sentence = Announcement(
            f"a{number}",
            1,
            says.language,
            announcement.text,
            ("agreement",),
            30,
            announcement.sha256,
            announcement.duration_ms,
        )
        asks = says.question if mode == OPT_IN else says.wrong_key
        consent = None if mode == NOTICE else ConsentPrompt(self.sound(asks), self.sound(says.declined))
        return LinePolicy(
            "t1", f"l{number}", f"{NUMBER}{number:02}", mode, "before_ringing", ("opus",), sentence,
            consent_prompt=consent, **more,  # type: ignore[arg-type]
        )  # fmt: skip

    def keep(self, says: Sentences) -> Keep:
        prompts = (says.keep, says.cue, says.keep_result, says.not_kept, says.unanswered)
        return Keep("agreement", KEPT_DAYS, *(self.sound(each) for each in prompts))

    def all(self) -> list[LinePolicy]:
        french = SAYS["fr"]
        asks = TransferNotice(ALONE, self.sound(french.joiner_question), self.sound(french.declined))
        return [
            *(self.line(10 + n, SAYS[each], OPT_IN) for n, each in enumerate(LANGUAGES)),
            *(self.line(20 + n, SAYS[each], NOTICE, keep=self.keep(SAYS[each]))
              for n, each in enumerate(LANGUAGES)),
            self.line(30, french, OPT_OUT),
            self.line(40, french, OPT_IN, transfer_notice=asks),
            self.line(50, french, OPT_IN, outbound=BEFORE_CONNECTED),
            self.line(51, french, OPT_OUT, outbound=BEFORE_CONNECTED),
        ]  # fmt: skip


class Call:
    """A call between the ``outside`` phone and a ``colleague``, who places it if it is ``outbound``.
    ``ring_sample``: when the internal phone rang, by the external phone's clock."""

    def __init__(self, phone_rig: PhoneRig, line: int, *, outbound: bool = False) -> None:
        number = next(NUMBERS)
        self.phone_rig, self.ring_sample = phone_rig, -1
        self.outside, self.colleague = (Telephone(PCMU, Voice(60 + 2 * number + n, PERIOD)) for n in (0, 1))
        for leg in (self.outside, self.colleague):
            leg.voice.payload(PCMU, 0)
        if outbound:
            self.who = f"3249{number:05}{OUTBOUND + number}"
            phone_rig.answers(OUTBOUND + number, self.outside)
            phone_rig.exchange.call(
                self.who, f"{NUMBER}{line:02}", self.colleague, port=phone_rig.rig.out_port
            )
            return
        self.who = f"3249{number:07}"
        self.colleague.rings = self._rings
        phone_rig.answers(line, self.colleague)
        phone_rig.exchange.call(f"{NUMBER}{line:02}", self.who, self.outside)

    def _rings(self) -> None:
        self.ring_sample = self.outside.now

    def markers(self, kind: str) -> int:
        for path in self.phone_rig.rig.spool.glob(f"*/{layout.CALL}"):
            if layout.read_start(path.parent).external_party.value.endswith(self.who):
                return [marker.kind for marker in layout.read_markers(path.parent)].count(kind)
        return 0

    def until(self, kind: str) -> None:
        until(f"{self.who}: {kind}", lambda: self.markers(kind) > 0, 60, 0.05)


@pytest.fixture(scope="module")
def phone_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneRig]:
    it = PhoneRig(tmp_path_factory.mktemp("phone_rig"))
    write_snapshot(it.rig.snapshot, Lines(it.prompts).all(), [], utc_now())
    try:
        it.rig.switch.start()
        it.rig.start_daemon()
        yield it
    finally:
        it.exchange.stop()
        it.rig.kill_daemon()
        it.rig.switch.stop()


def at_once(calls: list[Callable[[], str]]) -> None:
    """Run each in its own call, simultaneously."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for future in [pool.submit(each) for each in calls]:
            print(future.result())


def s(samples: int) -> float:
    return round(samples / RATE, 2)


def test_opt_in_and_keep_question_stay_within_their_time_limits(phone_rig: PhoneRig) -> None:
    at_once(
        [lambda n=n, each=each: opt_in(phone_rig, 10 + n, SAYS[each]) for n, each in enumerate(LANGUAGES)]
    )
    at_once(
        [
            lambda n=n, each=each: measure_keep_question(phone_rig, 20 + n, SAYS[each])
            for n, each in enumerate(LANGUAGES)
        ]
    )


def opt_in(phone_rig: PhoneRig, line: int, says: Sentences) -> str:
    call = Call(phone_rig, line)
    call.until("question_finished")
    pressed = call.outside.press("1")
    until("it rings", lambda: call.ring_sample >= 0, 60, 0.05)
    audio = call.outside.sound_heard()
    question, announcement = says.question, says.opt_in_announcement
    wait_samples = pressed - question.ends(audio)
    total = call.ring_sample - question.begins(audio) - wait_samples
    assert announcement.begins(audio) - pressed <= AT_ONCE_S * RATE
    assert total <= limits().opt_in_s * RATE, (says.language, s(total))
    lengths = [s(each.ends(audio) - each.begins(audio)) for each in (question, announcement)]
    return (
        f"{says.language}: opt-in to ringing {s(total)} s: question {lengths[0]}, announcement {lengths[1]}"
    )


def measure_keep_question(phone_rig: PhoneRig, line: int, says: Sentences) -> str:
    call = Call(phone_rig, line)
    call.until("bridged")
    call.outside.hears(1)
    call.colleague.press("*5")
    code_at = call.outside.now
    call.until("keep_question_heard")
    pressed = call.outside.press("1")
    call.until("keep_answer_confirmed")
    audio = call.outside.sound_heard()
    question = says.keep.ends(audio) - says.keep.begins(audio)
    result = says.keep_result.ends(audio) - says.keep_result.begins(audio)
    assert question <= limits().keep_question_s * RATE, (says.language, s(question))
    assert result <= limits().keep_result_s * RATE, (says.language, s(result))
    assert says.keep_result.begins(audio) - pressed <= AT_ONCE_S * RATE
    delay = says.keep.begins(audio) - code_at
    return f"{says.language}: *5 asked after {s(delay)} s, question {s(question)} s, result {s(result)} s"


def test_refusal_takes_effect_during_any_prompt(phone_rig: PhoneRig) -> None:
    says = SAYS["fr"]
    at_once(
        [
            lambda: in_question(phone_rig, 10, says.question),
            lambda: in_question(phone_rig, 30, says.may_refuse),
            lambda: in_announcement(phone_rig, 11, SAYS["nl"]),
            lambda: while_asked_to_keep(phone_rig, by_colleague=False),
            lambda: joiner(phone_rig),
        ]
    )
    at_once([lambda: while_asked_to_keep(phone_rig, by_colleague=True), lambda: while_it_is_kept(phone_rig)])


def refused(name: str, samples: np.ndarray, pressed: int, cut: HeardPrompt, then: HeardPrompt) -> str:
    after = then.begins(samples) - pressed
    assert cut.begins(samples) < pressed, name
    assert cut.is_cut(samples), name
    assert 0 < after <= AT_ONCE_S * RATE, (name, s(after))
    assert then.ends(samples) - then.begins(samples) == len(then.samples), name
    return f"{name}: {s(pressed - cut.begins(samples))} s into it refused, heard after {s(after)} s"


def test_callees_refusal_takes_effect_during_any_prompt(phone_rig: PhoneRig) -> None:
    says = SAYS["fr"]
    at_once(
        [
            lambda: in_question(phone_rig, 50, says.question, outbound=True),
            lambda: in_question(phone_rig, 51, says.may_refuse, outbound=True),
            lambda: in_announcement(phone_rig, 50, says, outbound=True),
            lambda: early_yes(phone_rig),
        ]
    )


def early_yes(phone_rig: PhoneRig) -> str:
    """A callee's yes during the question does not count."""
    call, says = Call(phone_rig, 50, outbound=True), SAYS["fr"]
    call.outside.hears(2)
    early = call.outside.press("1")
    call.until("question_finished")
    assert call.markers("question_answered") == 0
    pressed = call.outside.press("1")
    call.until("announcement_finished")
    audio = call.outside.sound_heard()
    assert says.question.begins(audio) < early < says.question.ends(audio)
    assert pressed < says.opt_in_announcement.begins(audio)
    delay = says.opt_in_announcement.begins(audio) - pressed
    return f"early yes: announced {s(delay)} s after the one that counts"


def in_question(phone_rig: PhoneRig, line: int, question: HeardPrompt, *, outbound: bool = False) -> str:
    call = Call(phone_rig, line, outbound=outbound)
    call.outside.hears(2)
    pressed = call.outside.press("2")
    call.until("question_answered")
    call.outside.hears(2.5)
    return refused(f"line {line}", call.outside.sound_heard(), pressed, question, SAYS["fr"].declined)


def in_announcement(phone_rig: PhoneRig, line: int, says: Sentences, *, outbound: bool = False) -> str:
    call = Call(phone_rig, line, outbound=outbound)
    call.until("question_finished")
    call.outside.press("1")
    call.until("announcement_started")
    call.outside.hears(1.5)
    pressed = call.outside.press("2")
    call.outside.hears(3)
    name = f"announcement after a yes, line {line}"
    return refused(name, call.outside.sound_heard(), pressed, says.opt_in_announcement, says.declined)


def while_asked_to_keep(phone_rig: PhoneRig, *, by_colleague: bool) -> str:
    call, says = Call(phone_rig, 20), SAYS["fr"]
    call.until("bridged")
    call.outside.hears(1)
    call.colleague.press("*5")
    call.until("keep_question_asked")
    presses = call.colleague if by_colleague else call.outside
    presses.hears(2)
    pressed = call.outside.now
    presses.press("2")
    call.until("keep_answer_confirmed")
    name = f"keep question, {'colleague' if by_colleague else 'caller'}"
    return refused(name, call.outside.sound_heard(), pressed, says.keep, says.not_kept)


def while_it_is_kept(phone_rig: PhoneRig) -> str:
    call, says = Call(phone_rig, 21), SAYS["nl"]
    call.until("bridged")
    call.outside.hears(1)
    call.colleague.press("*5")
    call.until("keep_question_heard")
    call.outside.press("1")
    call.until("keep_question_answered")
    call.outside.hears(1.3)
    pressed = call.outside.press("2")
    call.until("keep_answer_confirmed")
    return refused(
        "told that it is kept", call.outside.sound_heard(), pressed, says.keep_result, says.not_kept
    )


def joiner(phone_rig: PhoneRig) -> str:
    call, says = Call(phone_rig, 40), SAYS["fr"]
    call.until("question_finished")
    call.outside.press("1")
    call.until("bridged")
    call.outside.hears(1)
    second = Telephone(PCMU, Voice(59, PERIOD))
    second.voice.payload(PCMU, 0)
    phone_rig.answers(81, second)
    phone_rig.end_of(call.colleague).refer(f"{NUMBER}81")
    call.until("transfer_notice_started")
    second.hears(2)
    pressed = second.press("2")
    call.until("transfer_question_refused")
    second.hears(3)
    return refused("joiner", second.sound_heard(), pressed, says.joiner_question, says.declined)
