"""A take of any audio, markers and times through detection, redaction, encoding and sealing: the result
verifies and explains its gaps, or the take is refused; nothing else is raised, and nothing hangs."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import soundfile

from recorder.audio import wav
from recorder.audio.encoded_take import GAP_REASONS, read_encoded, write_encoded
from recorder.audio.encoding import encode
from recorder.domain.line_policy import Announcement, Keep
from recorder.domain.markers import MARKER_KINDS, Marker
from recorder.domain.parties import Party
from recorder.domain.sentences import TimedSentence as TimedSentence
from recorder.errors import SealError, TakeError
from recorder.seal.sealing import open_manifest, seal
from recorder.spool import layout
from recorder.spool.layout import CallEnd, CallStart
from tests.fuzz.choices import Choices
from tests.fuzz.documents import repeatable_entropy, scratch, world
from tests.fuzz.targets.wav import riff

INSTRUMENT = ("recorder.audio", "recorder.seal.manifest")
LONGEST = 260

RATE = 8000
START = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
_root = scratch()
_kinds = sorted(MARKER_KINDS)


def _prompt() -> np.ndarray:
    at = np.arange(RATE // 2)
    return (8000 * np.sin(2 * np.pi * (300 + at * 0.4) * at / RATE)).astype(np.int16)


PROMPT = _prompt()
_sound = _root / "prompt.wav"
soundfile.write(_sound, PROMPT, RATE, subtype="PCM_16")
ANNOUNCEMENT = Announcement(
    "0198c0de-0000-7000-8000-0000000000aa", 1, "en", "a sweep", ("agreement",), 30,
    hashlib.sha256(_sound.read_bytes()).hexdigest(), 500,
)  # fmt: skip
QUESTION = PROMPT[::-1].copy()
_question_file = _root / "asked.wav"
soundfile.write(_question_file, QUESTION, RATE, subtype="PCM_16")
_question = TimedSentence("a falling sweep", hashlib.sha256(_question_file.read_bytes()).hexdigest(), 500)
_question_file.rename(_root / f"{_question.sha256}.wav")
KEEP = Keep("training", 365, _question, _question, _question, _question, _question)
QUESTIONS = {
    "keep_question_asked": ({"how": "question"}, {"how": "own_words"}, {}),
    "keep_question_answered": (
        {"answer": "yes", "by": "external", "how": "key"}, {"answer": "yes"}, {"answer": "none"},
        {"answer": "yes", "by": "internal", "how": "aloud", "voice_from_ms": "7000", "voice_to_ms": "7400"},
        {"answer": "yes", "by": "internal", "how": "aloud", "voice_from_ms": "-1", "voice_to_ms": "9" * 12},
        {"answer": "no", "by": "internal", "how": "aloud"}, {"answer": "?", "by": "", "how": "x"},
    ),
}  # fmt: skip
_MS = timedelta(milliseconds=1)
LAST = (datetime(9999, 12, 31, 23, 59, tzinfo=UTC) - START) // _MS
FIRST = (datetime(1, 1, 1, tzinfo=UTC) - START) // _MS
TIMES = (
    0, 0, 20, 100, 500, 520, 700, 1500, 3000, 10_000, 86_400_000, -20, -5000, -86_400_000, 10**13,
    -(10**12), 4 * 10**13, LAST, FIRST
)  # fmt: skip


def check(data: bytes) -> None:
    choices = Choices(data)
    documents = world()
    shutil.rmtree(_root / "spool", ignore_errors=True)
    tenant = documents.sealed[0].manifest.tenant
    start = CallStart(
        recording="0198c0de-0000-7000-8000-0000000000f1",
        tenant=tenant,
        line="l",
        number="+3225550100",
        direction="inbound",
        node="n",
        channel="c",
        external_party=Party("e164", "+32470123456"),
        started_at=_time(choices),
        formats=choices.pick((("opus",), ("wav",), ("opus", "wav"), ("flac",), ())),
        announcement=choices.pick((ANNOUNCEMENT, ANNOUNCEMENT, ANNOUNCEMENT, None)),
        keep=KEEP,
    )
    folder = layout.open_take(_root / "spool", start)
    has_question = False
    for _ in range(choices.below(9)):
        kind = choices.pick(_kinds)
        has_question = has_question or kind in QUESTIONS
        data_ = {"party": "extension", "value": choices.text(6)} if kind == "bridged" else {}
        data_ = choices.pick(QUESTIONS[kind]) if kind in QUESTIONS else data_
        layout.append_marker(folder, Marker(_time(choices), kind, data_))
    layout.close_take(
        folder, CallEnd("recorded", None, _time(choices), choices.pick((None, Party("sip", "x"))))
    )
    (folder / layout.AUDIO).write_bytes(_audio(choices, QUESTION if has_question else QUESTION[:0]))
    try:
        take = layout.read_take(folder)
        write_encoded(encode(take, _sound))
        encoded = read_encoded(folder)
    except TakeError as error:
        assert error.error_id in ("take.impossible", "spool.broken", "take.encoded"), error.error_id
        return
    sound = wav.inspect(take.audio)
    assert encoded.duration_ms == sound.duration_ms
    for gap in encoded.gaps:
        assert 0 <= gap.start_ms < gap.end_ms
        assert gap.reason in GAP_REASONS
    if encoded.announced is None:
        left = soundfile.read(folder / "kept.wav", dtype="int16")[0][:, 0] if "wav" in start.formats else None
        moment = take.first("announcement_finished")
        assert left is None or moment is not None or not left.any(), (
            "kept what was said before they were told"
        )
    tenant_key = next(key for key in _tenant_keys() if key.tenant == tenant)
    try:
        sealed = seal(
            encoded, documents.keyring, tenant_key, _signer(), take.end.ended_at, repeatable_entropy("take")
        )
    except SealError as error:
        assert error.error_id in ("seal.endorsement_time", "seal.contradiction"), error.error_id
        return
    manifest = open_manifest(sealed.manifest_bytes, documents.root.public_key())
    assert manifest == sealed.manifest
    if manifest.keep_consent is not None:
        assert encoded.announced is not None, "kept by agreement, and nobody was told"
        answers = [
            marker.data.get("answer") for marker in encoded.markers if marker.kind == "keep_question_answered"
        ]
        assert "yes" in answers, "kept by agreement without a yes"


def _time(choices: Choices) -> datetime:
    return START + timedelta(milliseconds=choices.pick(TIMES))


def _audio(choices: Choices, question_sound: np.ndarray) -> bytes:
    if choices.below(6) == 5:
        return riff(choices)
    before, after = choices.pick((0, 800, 4000)), choices.pick((0, 100, 8000, 16000))
    level = choices.pick((3000, 0, 32767))
    tone = (
        level * np.sign(np.sin(np.arange(before + len(PROMPT) + len(question_sound) + after) / 3))
    ).astype(np.int16)
    prompt = PROMPT if choices.below(4) else PROMPT[: choices.below(4000)]
    right = np.concatenate([np.zeros(before, np.int16), prompt, question_sound, np.zeros(after, np.int16)])
    both = np.stack([tone[: len(right)], right], axis=1)
    if choices.below(8) == 7:
        both = both[: choices.below(len(both) + 1)]
    rate = choices.pick((8000, 8000, 8000, 12000, 16000, 24000, 48000))
    head = wav.wav_header(rate, choices.pick((len(both), len(both), 0, len(both) // 2, len(both) + 99)))
    return head + both.astype("<i2").tobytes() + choices.blob(5)


def _signer():
    from recorder.seal import signing

    keys = world().folder / "keys"
    return signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)


def _tenant_keys():
    from tests.fuzz.documents import wrapped_keys

    return [key for key in wrapped_keys().values() if key.kind == "tenant"]


def _seed(*markers: tuple[str, int], ended: int = 3000) -> bytes:
    out = bytes([0, 2, 0, len(markers)])
    for kind, at in markers:
        more = [3, 0x31, 0x30, 0x30] if kind == "bridged" else [0] if kind in QUESTIONS else []
        out += bytes([_kinds.index(kind), *more, TIMES.index(at)])
    return out + bytes([TIMES.index(ended), 1, 0, 1, 3, 0, 1, 1, 0, 0, 0])


SEEDS = (
    _seed(("recording_started", 0), ("announcement_started", 100), ("announcement_finished", 700),
          ("bridged", 700), ("hangup", 1500), ("recording_stopped", 1500), ended=1500),
    _seed(("recording_started", 0), ("announcement_finished", 700), ("hold", 700), ("unhold", 1500),
          ("bridged", 500)),
    _seed(("bridged", 10**13), ("hangup", -(10**12)), ("unobserved_from", 20)),
    _seed(("recording_started", 0), ("announcement_finished", 500), ("bridged", 500), ("keep_question_asked",
                                                                                       520),
          ("keep_question_heard", 1500), ("keep_question_answered", 1500), ("keep_answer_confirmed", 3000),
          ("hangup", 3000)),
    _seed(),
    bytes([16, 2, 0, 0, 16, 1, 0, 1, 3, 0, 1]),
)  # fmt: skip
