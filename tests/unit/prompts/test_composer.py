"""The composer: the text matches the sound, which is complete, normalised and deterministic."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.errors import ConfigError
from recorder.prompts import composer, dsp
from recorder.prompts.composer import Greeting, Rendered, announcement
from recorder.prompts.purposes import LANGUAGES
from recorder.prompts.sentences import LONG, SHORT, ClipText, Wording, clip_text
from recorder.prompts.sound_check import check_sound
from recorder.prompts.sound_sources import Sources
from tests.expected_errors import expect_error

PURPOSES = ("agreement", "quality", "training", "legal-duty")
CODE = "271830"


def samples(prompt: Rendered) -> np.ndarray:
    read: np.ndarray = soundfile.read(io.BytesIO(prompt.wav), dtype="float32")[0]
    return read


def everything(language: str, wording: Wording = SHORT) -> dict[str, Rendered]:
    """Every prompt, by name."""
    options = {"purposes": ["agreement"], "keep_days": 30, "wording": wording}
    long = {"wording": wording}
    return {
        "notice": announcement(language, mode="notice", **options),
        "opt-out": announcement(language, mode="opt-out", **options),
        "opt-in": announcement(language, mode="opt-in", **options),
        "question": composer.opt_in_question(language, **options),
        "line": composer.line_sentence([(language, {})], purposes=["agreement"], keep_days=30),
        "wrong-out": composer.wrong_key(language, **long),
        "not-recorded": composer.not_recorded(language),
        "keep": composer.keep_question(language, **long),
        "agreed": composer.agreed(language, keep_days=3653, **long),
        "declined": composer.declined(language, destroyed=False, **long),
        "declined-destroyed": composer.declined(language, destroyed=True, **long),
        "unanswered": composer.unanswered(language, destroyed=False, **long),
        "unanswered-destroyed": composer.unanswered(language, destroyed=True, **long),
        "ask-now": composer.ask_now(language),
        "request-call": composer.verification_code(language, CODE, "somebody-asked"),
        "number-call": composer.verification_code(language, CODE, "number-proof"),
        "guest-call": composer.verification_code(language, CODE, "somebody-listens"),
    }


AGREEMENT = (
    "That way, we both have a clear record of what we agree, and we can listen to it together later if we"
    " need to."
)
RECORD = "We record this call so that we both have a clear record of what we agree."
KEYS = "Press 1 for yes, 2 for no."
QUESTION = "May we keep this recording, as a clear record of what we agreed?"
SHORTLY = {
    "notice": f"{RECORD} We keep it for thirty days.",
    "opt-out": f"{RECORD} We keep it for thirty days. To refuse, press 2.",
    "question": f"May we record this call, so that we both have a clear record of what we agree? {KEYS}",
    "keep": "May we keep this as a clear record of what we agreed? 1 for yes, 2 for no.",
    "agreed": "Agreed. We keep it for ten years.",
    "declined": "All right, we only keep it as announced.",
    "declined-destroyed": "All right, we will destroy the recording after the call.",
    "unanswered": "Without an answer, we only keep it as announced.",
    "unanswered-destroyed": "Without an answer, we will destroy it after the call.",
    "wrong-out": "Sorry, that key is not in use. To refuse, press 2.",
    "number-call": "Hello. Someone is setting up call recording for this number."
    " If you were not expecting this, hang up and do not give the code to anyone."
    " Otherwise, please write down this code."
    " 2. 7. 1. 8. 3. 0. Once more. 2. 7. 1. 8. 3. 0.",
}
ENGLISH = {
    "notice": f"This call is being recorded. {AGREEMENT} We keep the recording for thirty days.",
    "question": f"We would like to record this call. {AGREEMENT} We keep the recording for thirty days."
    " Is that all right with you? Press 1 for yes. Otherwise, the call continues without being recorded.",
    "keep": f"{QUESTION} {KEYS} Or just say it.",
    "agreed": f"Agreed. We keep the recording for ten years. {AGREEMENT}",
    "declined": "All right. We will not keep the recording for that."
    " We only keep it as we said at the beginning.",
    "declined-destroyed": "All right. We will not keep the recording for that."
    " We will destroy the recording when the call ends.",
    "unanswered": "We heard no answer. We only keep it as we said at the beginning.",
    "wrong-out": "Sorry, that key is not in use. To continue without being recorded, press 2.",
}


def test_short_wording_in_english() -> None:
    texts = {name: prompt.text for name, prompt in everything("en").items()}
    assert {name: texts[name] for name in SHORTLY} == SHORTLY
    assert texts["opt-in"] == texts["notice"]


def test_long_wording_in_english() -> None:
    texts = {name: prompt.text for name, prompt in everything("en", LONG).items()}
    assert {name: texts[name] for name in ENGLISH} == ENGLISH
    assert texts["opt-out"] == f"{ENGLISH['notice']} To continue without being recorded, press 2."
    assert texts["opt-in"] == texts["notice"]
    assert texts["line"].startswith("Calls on this line are recorded. That way,")
    assert len(set(texts.values())) == len(texts) - 1


@pytest.mark.long
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_prompt_renders_from_shipped_sounds(language: str) -> None:
    for name, prompt in [*everything(language).items(), *everything(language, LONG).items()]:
        sound = samples(prompt)
        assert prompt.language == language
        assert prompt.sample_rate == 8000
        assert prompt.duration_ms == round(len(sound) / 8)
        assert {origin for _, origin in prompt.origins} == {"shipped"}
        # A digit alone is short, and its peak limits it before it is as loud as a sentence.
        tolerance = 1.5 if name.endswith("-call") else 1.0
        assert dsp.loudness(sound, 8000) == pytest.approx(-20, abs=tolerance), name
        assert np.abs(sound).max() < 0.85
        before, after = dsp.measure_silence(sound, 8000)
        assert 0.02 <= before <= 0.25, name
        assert 0.02 <= after <= 0.35, name  # a final t has little energy below 4 kHz
        if prompt.duration_ms >= 1000:
            assert check_sound(prompt.wav, name).sha256 == prompt.sha256


@pytest.mark.parametrize("language", LANGUAGES)
def test_calls_with_a_code_share_nothing_but_the_code(language: str) -> None:
    request, number = ({*everything(language)[name].origins} for name in ("request-call", "number-call"))
    code = {(f"digit-{digit}", "shipped") for digit in CODE} | {("once-more", "shipped")}
    assert request & number == code


@pytest.mark.parametrize("rate", [8000, 16000])
def test_rendering_is_deterministic(rate: int) -> None:
    def make() -> Rendered:
        return announcement("fr", mode="opt-out", purposes=PURPOSES[:2], keep_days=90, sample_rate=rate)

    one = make()
    composer._join_shipped.cache_clear()
    two = make()
    assert one == two
    assert one.wav == two.wav
    assert one.sample_rate == rate
    other = announcement("fr", mode="opt-out", purposes=PURPOSES[:2], keep_days=60, sample_rate=rate)
    assert other.sha256 != one.sha256


def test_menu_names_each_language_in_itself() -> None:
    menu = composer.language_menu(["fr", "nl", "en"])
    assert menu.text == "Pour le français, tapez 1. Voor Nederlands, druk op 2. For English, press 3."
    assert menu.language == "fr"
    for wrong in (["fr"], ["fr", "fr"], [], "fr"):
        with expect_error(ConfigError, "prompt.languages"):
            composer.language_menu(wrong)
    with expect_error(ConfigError, "prompt.language"):
        composer.language_menu(["fr", "pt"])


def greeting(speech: np.ndarray, **more: bool) -> Greeting:
    return Greeting("Welcome to Dubois.", dsp.wav_bytes(speech.astype(np.float32) / 300_000, 16000), **more)


def test_greeting_comes_first_at_the_same_level(
    speech: np.ndarray,
) -> None:
    options = {"mode": "notice", "purposes": ["agreement"], "keep_days": 30, "sample_rate": 16000}
    alone = announcement("en", **options)
    greeted = announcement("en", **options, greeting=greeting(speech))
    assert greeted.text == f"Welcome to Dubois. {alone.text}"
    sound = samples(greeted)
    first = sound[: len(sound) - len(samples(alone)) - int(0.5 * 16000)]
    assert dsp.loudness(first, 16000) == pytest.approx(-20, abs=1.0), "the greeting was 19 dB softer"
    assert np.abs(sound[len(first) + 400 : len(first) + 7600]).max() < 0.001, "half a second of pause"
    assert np.abs(sound[-len(samples(alone)) :] - samples(alone)).max() < 0.01


def test_complete_greeting_replaces_the_announcement(speech: np.ndarray) -> None:
    full_greeting = greeting(speech, says_all=True)
    prompt = announcement("en", mode="notice", purposes=["agreement"], keep_days=30, greeting=full_greeting)
    assert prompt.text == "Welcome to Dubois."
    assert prompt.origins == (("greeting", "recorded"),)
    with pytest.raises(ConfigError, match="cannot be kept"):
        announcement("en", mode="notice", purposes=["agreement"], keep_days=0, greeting=full_greeting)


def test_opt_in_greets_before_the_question_only(speech: np.ndarray) -> None:
    hello = greeting(speech)
    sentence = composer.opt_in_question("en", purposes=["quality"], keep_days=7, greeting=hello)
    consent_announcement = announcement(
        "en", mode="opt-in", purposes=["quality"], keep_days=7, greeting=hello
    )
    assert sentence.text.startswith("Welcome to Dubois. May we record")
    assert consent_announcement.text.startswith("We record this call")


@pytest.mark.parametrize(
    ("error_id", "harm"),
    [
        ("prompt.greeting_text", lambda s: Greeting("  ", dsp.wav_bytes(s / 32768, 16000))),
        ("prompt.not_wav", lambda s: Greeting("Hello.", b"no sound")),
        ("prompt.silent", lambda s: Greeting("Hello.", dsp.wav_bytes(s * 0, 16000))),
        ("prompt.rate", lambda s: Greeting("Hello.", dsp.wav_bytes(s / 32768, 44100))),
        ("prompt.length", lambda s: Greeting("Hello.", dsp.wav_bytes(np.tile(s, 40) / 32768, 16000))),
    ],
)
def test_refuses_an_unsuitable_greeting(speech: np.ndarray, error_id: str, harm: object) -> None:
    bad = harm(speech.astype(np.float32))  # type: ignore[operator]
    with expect_error(ConfigError, error_id) as failure:
        announcement("en", mode="notice", purposes=["agreement"], keep_days=30, greeting=bad)
    assert failure.value.hint


def test_limits_the_total_length(speech: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    long = (rng.normal(0, 0.05, 55 * 16000)).astype(np.float32)
    with pytest.raises(ConfigError, match="the whole prompt takes") as failure:
        announcement(
            "en",
            mode="notice",
            purposes=["agreement"],
            keep_days=30,
            greeting=Greeting("Hello.", dsp.wav_bytes(long, 16000)),
        )
    assert failure.value.error_id == "prompt.length"


@pytest.mark.parametrize(
    ("error_id", "more"),
    [
        ("prompt.language", {"language": "pt"}),
        ("prompt.mode", {"mode": "silent"}),
        ("prompt.no_purposes", {"purposes": []}),
        ("prompt.purpose_words", {"purposes": ["delivery"]}),
        ("prompt.keep_time", {"keep_days": 0}),
        ("prompt.rate", {"sample_rate": 44100}),
        ("tts.none", {"keep_days": 45}),
        ("tts.none", {"purposes": ["delivery"], "own": {"delivery": "It helps us to deliver."}}),
    ],
)
def test_errors_have_hints(error_id: str, more: dict[str, object]) -> None:
    arguments: dict[str, object] = {
        "language": "en",
        "mode": "notice",
        "purposes": ["agreement"],
        "keep_days": 30,
    }
    arguments |= more
    with expect_error(ConfigError, error_id) as failure:
        announcement(arguments.pop("language"), **arguments)  # type: ignore[arg-type]
    assert failure.value.hint


def test_engine_speaks_only_missing_sentences(hum: object) -> None:
    own = {"delivery": "It helps us to deliver."}
    prompt = announcement(
        "en",
        mode="opt-out",
        purposes=["agreement", "delivery"],
        keep_days=45,
        own=own,
        sources=Sources(engines=(hum,)),  # type: ignore[arg-type]
    )
    assert hum.texts == [  # type: ignore[attr-defined]
        ("It helps us to deliver.", "en"),
        ("We keep it for 45 days.", "en"),
    ]
    assert "It helps us to deliver. We keep it for 45 days. To refuse" in prompt.text
    assert [origin for _, origin in prompt.origins] == [
        "shipped",
        "spoken by hum",
        "spoken by hum",
        "shipped",
    ]


def test_engine_reads_the_spoken_form(hum: object) -> None:
    text = clip_text("opt-out", "en", key=5)
    Sources(engines=(hum,)).clip(text)  # type: ignore[arg-type]
    assert text.text == "To continue without being recorded, press 5."
    assert hum.texts == [("To continue without being recorded, press five.", "en")]  # type: ignore[attr-defined]


def test_recording_replaces_the_shipped_sound(voice: Path) -> None:
    options = {"mode": "notice", "purposes": ["agreement"], "keep_days": 30, "wording": LONG}
    own, shipped = announcement("en", **options, sources=Sources(voice)), announcement("en", **options)
    assert own.text == shipped.text
    assert own.origins[0] == ("recorded", "recorded")
    assert own.sha256 != shipped.sha256
    first = samples(own)[: 2 * 8000]
    assert dsp.loudness(first, 8000) == pytest.approx(-20, abs=1.5), "as loud as the rest"
    assert dsp.measure_silence(samples(own), 8000)[0] < 0.3, "its second of silence was trimmed"
    assert announcement("fr", **options, sources=Sources(voice)).origins[0] == ("recorded", "shipped")


def test_shipped_sound_is_found_by_text() -> None:
    other = ClipText("recorded", "en", "Something else.", "Something else.")
    assert Sources().origin(other) == "missing"
    with expect_error(ConfigError, "tts.none") as failure:
        Sources().clip(other)
    assert "en/recorded.wav" in failure.value.hint
