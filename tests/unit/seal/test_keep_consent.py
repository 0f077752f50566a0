"""What was agreed, sealed: a yes counts where it follows a question that was heard, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.errors import SealError
from recorder.seal.manifest import AnnouncedPurpose, Manifest
from recorder.seal.sealing import SealedTake, open_manifest
from recorder.seal.verification import verify
from recorder.strict_json import b64
from tests.expected_errors import expect_error

from .recording import (
    ALOUD,
    ANNOUNCEMENT,
    CONFIRMATION,
    KEEP,
    NO,
    NONE,
    NOW,
    QUESTION_END,
    START,
    VOICE,
    YES,
    Keys,
    make_bucket,
    make_with_question,
    question,
    seal_with_question,
    without_voice,
    words,
)

Change = Callable[[dict[str, Any]], object]
ALL = (question(), QUESTION_END, YES, CONFIRMATION)
INTERRUPTION = ("keep_question_interrupted", {})
ANNOUNCED = tuple(AnnouncedPurpose(code, START + timedelta(days=30)) for code in ANNOUNCEMENT.purposes)
A_YEAR = START + timedelta(days=365)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "take"


def sealed_of(keys: Keys, folder: Path, *markers: tuple[str, dict[str, str]], **more: Any) -> Manifest:
    sealed = seal_with_question(keys, make_with_question(folder, *markers, **more))
    assert open_manifest(sealed.manifest_bytes, keys.root.public_key(), NOW) == sealed.manifest
    return sealed.manifest


def test_keep_consent_body_field_by_field(keys: Keys, folder: Path) -> None:
    consent = ("question_answered", {"question": "recording", "answer": "yes", "key": "1"})
    take = make_with_question(folder, consent, *ALL, mode="opt-in", question=words("May we record?"))
    body = json.loads(seal_with_question(keys, take).manifest_bytes)["body"]
    assert body["consent"] == {
        "mode": "opt-in",
        "answer": "yes",
        "key": "1",
        "at": "2026-11-25T09:30:20.123Z",
        "question": {"text": "May we record?", "sound_sha256": words("May we record?").sha256},
    }
    assert KEEP.question is not None
    assert body["keep_questions"] == [
        {
            "asked_at": "2026-11-25T09:30:22.123Z",
            "offset_ms": 22_000,
            "how": "question",
            "question": {
                "text": "May we keep this recording?",
                "sound_sha256": KEEP.question.sha256,
                "found": {"offset_ms": 22_500, "end_ms": 24_000, "score": 0.98},
            },
            "answer": "yes",
            "by": "external",
            "answered_how": "key",
            "answered_at": "2026-11-25T09:30:26.123Z",
            "answered_offset_ms": 26_000,
            "voice": None,
            "unheard_at": None,
            "confirmed": True,
            "confirmation": {
                "text": "It is kept.",
                "sound_sha256": KEEP.yes.sha256,
                "found": {"offset_ms": 26_500, "end_ms": 28_000, "score": 0.98},
            },
        }
    ]
    assert body["keep_consent"] == {
        "purpose": "training",
        "keep_days": 365,
        "until": "2027-11-25T09:30:00.123Z",
    }
    assert body["keep_until"] == "2027-11-25T09:30:00.123Z"


def test_yes_extends_only_its_own_purpose(keys: Keys, folder: Path) -> None:
    manifest = sealed_of(keys, folder, *ALL)
    assert manifest.purposes == (*ANNOUNCED, AnnouncedPurpose("training", A_YEAR))
    assert (manifest.keep_until, manifest.keep_answer) == (A_YEAR, "yes")


def test_yes_to_an_announced_purpose_never_shortens_it(keys: Keys, tmp_path: Path) -> None:
    longer = sealed_of(keys, tmp_path / "a", *ALL, keep=replace(KEEP, purpose="agreement"))
    assert longer.purposes == (AnnouncedPurpose("agreement", A_YEAR), ANNOUNCED[1])
    assert longer.keep_until == A_YEAR
    shorter = sealed_of(keys, tmp_path / "b", *ALL, keep=replace(KEEP, purpose="agreement", keep_days=2))
    assert shorter.purposes == ANNOUNCED
    assert shorter.keep_until == START + timedelta(days=30)


OWN = question("own_words")
BY_COLLEAGUE = ("keep_question_answered", {"answer": "yes", "by": "internal", "how": "own_words", **VOICE})
UNHEARD = ("keep_answer_unheard", {})


@pytest.mark.parametrize(
    ("markers", "answer", "answers"),
    [
        ((), None, []),
        (ALL, "yes", ["yes"]),
        (ALL[:3], "yes", ["yes"]),  # they were not told to the end: it was answered all the same
        ((OWN, BY_COLLEAGUE), "yes", ["yes"]),
        ((OWN, without_voice(BY_COLLEAGUE)), None, ["yes"]),
        ((question(), QUESTION_END, ALOUD), "yes", ["yes"]),
        ((question(), QUESTION_END, UNHEARD, question(), QUESTION_END, ALOUD), "yes", [None, "yes"]),
        (
            (question(), QUESTION_END, UNHEARD, question(), QUESTION_END, UNHEARD, NONE),
            "none",
            [None, "none"],
        ),
        (
            (*ALL, question(), QUESTION_END, UNHEARD, question(), QUESTION_END, UNHEARD, NONE),
            "none",
            ["yes", None, "none"],
        ),
        ((question(), QUESTION_END, UNHEARD, INTERRUPTION), None, [None]),
        ((question(), QUESTION_END, UNHEARD, ALOUD), None, [None]),  # of no question that was asked once more
        ((OWN, NONE), "none", ["none"]),
        ((*ALL, question(), QUESTION_END, NO), "no", ["yes", "no"]),
        ((*ALL, question(), QUESTION_END, NONE), "none", ["yes", "none"]),
        ((*ALL, question(), INTERRUPTION), "yes", ["yes", "broken"]),
        ((*ALL, question()), "yes", ["yes", None]),
        ((question(), QUESTION_END, NO, *ALL), "yes", ["no", "yes"]),
        ((question(), INTERRUPTION, YES), None, ["broken"]),
        ((question(), YES), None, [None]),  # before its end
        ((YES, CONFIRMATION), None, []),
        ((question(), QUESTION_END, ("keep_question_answered", {"answer": "yes"})), None, [None]),  # nobody's
        ((question(), QUESTION_END), None, [None]),  # the daemon was killed
        ((question(), QUESTION_END, question(), QUESTION_END, YES), "yes", [None, "yes"]),
    ],
)
def test_last_answer_counts(
    keys: Keys, folder: Path, markers: tuple[Any, ...], answer: str | None, answers: list[str | None]
) -> None:
    manifest = sealed_of(keys, folder, *markers)
    assert manifest.keep_answer == answer
    assert [each.answer for each in manifest.keep_questions] == answers
    assert (manifest.keep_consent is not None) == (answer == "yes")
    assert manifest.keep_until == (A_YEAR if answer == "yes" else START + timedelta(days=30))


def test_question_missing_in_the_audio_gives_no_consent(keys: Keys, tmp_path: Path) -> None:
    assert sealed_of(keys, tmp_path / "a", *ALL, found=False).keep_consent is None
    take = make_with_question(tmp_path / "b", *ALL)
    late = tuple(replace(each, end_ms=each.end_ms + 2001) for each in take.prompts)
    manifest = seal_with_question(keys, replace(take, prompts=late)).manifest
    assert (manifest.keep_consent, manifest.keep_answer, manifest.purposes) == (None, None, ANNOUNCED)
    assert manifest.keep_questions[0].answer == "yes"  # what was answered is told all the same


def test_unannounced_recording_has_no_keep_consent(keys: Keys, folder: Path) -> None:
    manifest = sealed_of(keys, folder, *ALL, announced=None)
    assert (manifest.keep_consent, manifest.purposes) == (None, ())
    assert manifest.keep_until == manifest.ended_at + timedelta(days=30)


@pytest.mark.parametrize(
    ("mode", "answer", "announced"),
    [
        ("opt-in", "yes", True),
        ("opt-in", "no", False),
        ("opt-in", None, False),
        ("opt-out", "none", True),
        ("opt-out", None, True),  # the switch's word that nobody refused, from before it could be noted
        ("opt-out", "no", False),
        ("opt-out", "unclear", False),
    ],
)
def test_opt_in_without_an_answer_has_no_purpose(
    keys: Keys, folder: Path, mode: str, answer: str | None, announced: bool
) -> None:
    markers = [("question_answered", {"question": "recording", "answer": answer})] if answer else []
    language = ("question_answered", {"question": "language", "answer": "key", "key": "2"})
    manifest = sealed_of(keys, folder, *markers, language, *ALL, mode=mode)
    assert (manifest.announced is not None) == announced
    assert manifest.unannounced == (None if announced else "no_consent")
    assert (manifest.consent.mode, manifest.consent.answer) == (mode, answer)
    assert bool(manifest.purposes) == announced


def resigned(sealed: SealedTake, keys: Keys, change: Change) -> bytes:
    document = json.loads(sealed.manifest_bytes)
    change(document["body"])
    document["signatures"][0]["signature"] = b64(keys.signer.sign(document["body"]))
    return rfc8785.dumps(document)


def first(**changed: Any) -> Change:
    return lambda body: body["keep_questions"][0].update(changed)


UNTIL = "2026-12-25T09:30:00.123Z"
NOTHING_ANSWERED: dict[str, Any] = {"confirmed": False} | dict.fromkeys(
    ("answer", "by", "answered_how", "answered_at", "answered_offset_ms", "confirmation")
)


@pytest.mark.parametrize(
    "change",
    [
        first(answer="no"),  # agreed without a yes
        first(**NOTHING_ANSWERED),
        first(**NOTHING_ANSWERED | {"answer": "broken"}),
        lambda body: body.update(keep_questions=[]),  # a yes without a question
        lambda body: body["keep_questions"][0]["question"].update(found=None),
        lambda body: body["keep_questions"][0]["question"]["found"].update(end_ms=24_001),
        lambda body: body.update(keep_consent=None),  # a yes that would count, and does not
        lambda body: body.update(announcement=None, unannounced="not_found_in_audio"),
        lambda body: body["keep_consent"].update(until="2028-11-25T09:30:00.123Z"),  # outlives the recording
        first(by=None),
        first(answered_how=None),
        first(answered_at=None),
        first(answered_offset_ms=None),
        first(confirmation=None),
        first(answer="none"),  # somebody's silence
        first(**NOTHING_ANSWERED | {"confirmed": True}),
        first(how="own_words"),  # a question that was played, and was not
        first(question=None),
        first(offset_ms=24_001),
        first(answered_offset_ms=69_901),
        lambda body: body["keep_questions"].append(body["keep_questions"][0]),  # before the one before
        lambda body: body["keep_questions"][0]["confirmation"]["found"].update(end_ms=69_901),
        lambda body: body["consent"].update(key="1"),
        lambda body: body["consent"].update(answer="yes"),
        lambda body: body["consent"].update(mode="opt-in"),
        lambda body: body["consent"].update(mode="opt-out", answer="no", at=UNTIL),
    ],
)
def test_signed_contradiction_is_refused(keys: Keys, folder: Path, change: Change) -> None:
    sealed = seal_with_question(keys, make_with_question(folder, *ALL))
    with expect_error(SealError, "seal.contradiction"):
        open_manifest(resigned(sealed, keys, change), keys.root.public_key(), NOW)


@pytest.mark.parametrize(
    ("change", "error_id"),
    [
        (first(answer="perhaps"), "seal.field"),
        (first(by="somebody"), "seal.field"),
        (first(confirmed=1), "seal.field"),
        (first(offset_ms=-1), "seal.field"),
        (first(answered_offset_ms=True), "seal.field"),
        (first(note="x"), "seal.unknown_field"),
        (lambda body: body["keep_questions"][0]["question"].update(note="x"), "seal.unknown_field"),
        (lambda body: body["keep_questions"][0]["question"]["found"].update(note="x"), "seal.unknown_field"),
        (lambda body: body["consent"].update(mode="silent"), "seal.field"),
        (lambda body: body["consent"].update(note="x"), "seal.unknown_field"),
        (lambda body: body["keep_consent"].update(note="x"), "seal.unknown_field"),
        (lambda body: body.pop("keep_consent"), "seal.field"),
    ],
)
def test_malformed_keep_question_is_refused(keys: Keys, folder: Path, change: Change, error_id: str) -> None:
    sealed = seal_with_question(keys, make_with_question(folder, *ALL))
    with expect_error(SealError, error_id):
        open_manifest(resigned(sealed, keys, change), keys.root.public_key(), NOW)


@pytest.mark.parametrize(
    ("original", "instead"),
    [
        (b'"answer":"yes"', b'"answer":"no"'),
        (b'"by":"external"', b'"by":"internal"'),
        (b'"mode":"notice"', b'"mode":"opt-in"'),
        (b"May we keep this recording?", b"May we sell this recording?"),
        (b'"until":"2027', b'"until":"2037'),
        (b'"answered_offset_ms":26000', b'"answered_offset_ms":25000'),
    ],
)
def test_changed_keep_consent_is_noticed(keys: Keys, folder: Path, original: bytes, instead: bytes) -> None:
    sealed = seal_with_question(keys, make_with_question(folder, INTERRUPTION, *ALL))
    bucket = make_bucket(sealed, keys.tenant_key)

    def codes() -> set[str]:
        report = verify(bucket, sealed.prefix, keys.root.public_key(), keys.keyring, NOW)
        return {finding.code for finding in report.findings}

    assert codes() == set()
    place = sealed.prefix + "manifest.json"
    changed = bucket.objects[place].replace(original, instead)
    assert changed != bucket.objects[place]
    bucket.objects[place] = changed
    assert codes() == {"seal.signature"}


def test_voice_is_sealed_from_the_end_of_the_question(keys: Keys, tmp_path: Path) -> None:
    """What the daemon found in the recording, in the recording's own milliseconds."""
    for number, (first_ms, end_ms, sealed) in enumerate((
        (22_500, 23_000, (22_500, 23_000)),
        (21_900, 22_300, (22_000, 22_300)),  # 22,000 is the question's end, in the audio
        (69_000, 90_000, (69_000, 69_900)),  # and 69,900 the audio's
        (21_000, 21_900, None),
        (90_000, 91_000, None),
        (25_000, 25_000, None),
        (21_000, 22_000, None),  # it ended with the question
    )):  # fmt: skip
        voice = {"voice_from_ms": str(first_ms), "voice_to_ms": str(end_ms)}
        take = make_with_question(
            tmp_path / str(number), question(), QUESTION_END, (ALOUD[0], ALOUD[1] | voice)
        )
        manifest = seal_with_question(keys, take).manifest
        (only,) = manifest.keep_questions
        found = None if only.voice is None else (only.voice.from_ms, only.voice.to_ms)
        assert found == sealed
        assert (manifest.keep_consent is not None) == (sealed is not None)


@pytest.mark.parametrize(
    "change",
    [
        first(voice=None),  # agreed without it
        first(by="external", answered_how="key"),
        first(voice={"from_ms": 21_999, "to_ms": 25_000}),
        first(voice={"from_ms": 25_000, "to_ms": 25_000}),
        first(voice={"from_ms": 25_000, "to_ms": 69_901}),
        first(unheard_at=UNTIL),
    ],
)
def test_contradictory_voice_is_refused(keys: Keys, folder: Path, change: Change) -> None:
    sealed = seal_with_question(keys, make_with_question(folder, question(), QUESTION_END, ALOUD))
    open_manifest(sealed.manifest_bytes, keys.root.public_key(), NOW)
    with expect_error(SealError, "seal.contradiction"):
        open_manifest(resigned(sealed, keys, change), keys.root.public_key(), NOW)


KINDS = [
    ALOUD, without_voice(ALOUD), UNHEARD,
    question(), question("own_words"), QUESTION_END, INTERRUPTION, YES, NO, NONE, CONFIRMATION, BY_COLLEAGUE,
    ("keep_question_answered", {"answer": "yes"}), ("keep_question_answered", {}),
    ("keep_question_asked", {}), ("keep_answer_unconfirmed", {}),
    ("question_answered", {"question": "recording", "answer": "yes", "key": "1"}),
    ("question_answered", {"question": "recording", "answer": "no", "key": "2"}),
    ("unobserved_from", {}), ("unobserved_to", {}),
]  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    markers=st.lists(st.sampled_from(KINDS), max_size=14),
    mode=st.sampled_from(["notice", "opt-in", "opt-out"]),
    announced=st.booleans(),
    found=st.booleans(),
    has_sound=st.booleans(),
)
def test_no_keep_consent_without_a_yes_after_a_question(
    keys: Keys, folder: Path, markers: list[Any], mode: str, announced: bool, found: bool, has_sound: bool
) -> None:
    keep = KEEP if has_sound else replace(KEEP, question=None)
    more = {} if announced else {"announced": None}
    take = make_with_question(folder, *markers, found=found, keep=keep, mode=mode, **more)
    sealed = seal_with_question(keys, take)  # it is never refused: that would be a take that waits for ever
    manifest = open_manifest(sealed.manifest_bytes, keys.root.public_key(), NOW)
    if manifest.keep_consent is None:
        assert {each.code for each in manifest.purposes} <= set(ANNOUNCEMENT.purposes)
        assert manifest.keep_answer != "yes"
        return
    assert announced
    order = [(marker.kind, marker.data) for marker in take.markers]

    def follows(yes: int) -> bool:
        asks = [n for n, (kind, data) in enumerate(order[:yes]) if kind == "keep_question_asked" and data]
        if not asks:
            return False
        between = [kind for kind, _ in order[asks[-1] + 1 : yes]]
        was_heard = order[asks[-1]][1]["how"] == "own_words" or (found and "keep_question_heard" in between)
        return was_heard and "keep_question_interrupted" not in between

    said_yes = [
        n for n, (_, data) in enumerate(order)
        if data.get("answer") == "yes" and (data.get("by") == "external" or "voice_from_ms" in data)
    ]  # fmt: skip
    assert any(follows(yes) for yes in said_yes)
    if mode == "opt-in":
        answers = [data["answer"] for kind, data in order if kind == "question_answered"]
        assert answers[-1] == "yes"


def test_prompt_beyond_the_end_has_no_place(keys: Keys, folder: Path) -> None:
    """The call ends in the question: what was noted of it then lies at the end of the audio."""
    take = make_with_question(folder, question())
    end = take.duration_ms
    last = replace(take.markers[-2], offset_ms=end)
    take = replace(take, markers=(take.markers[0], last, take.markers[-1]), prompts=())
    (only,) = seal_with_question(keys, take).manifest.keep_questions
    assert (only.offset_ms, only.question and only.question.found, only.answer) == (end, None, None)
