"""Compares the results of a plan with the expected ones. Pure: a plan and a history in, findings out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from tests.freeswitch.mixed.expectations import Expectation, PartyHearing, expected
from tests.freeswitch.mixed.history import SENTENCES, History, Listed, Telephone
from tests.freeswitch.mixed.plan import Call, Party
from tests.freeswitch.mixed.signals import STEPS, Run, Word

MOST = 0.8
"""Share of the frames of a word that must be heard, and be kept: a machine with all of its cores in use loses
some, and what is about to change its word loses the last one."""

STEPS_HEARD = STEPS - 2
"""Steps of a sentence from which it counts as whole: a telephone that is just being answered misses the
first, a lost frame may cost another."""

APART_S = 0.6
"""Seconds by which speech may be kept later or earlier than it was said, beside what is sealed as missing or
as too much (``drift_ms``: the switch records nothing while it calls the next one, a hold of the external
party may leave no sound, and a full switch makes up for delays)."""

FRAMES_S = 50
"""Frames of sound in a second."""

SILENT_S = 1.0
"""For so long a telephone says nothing only on hold."""

STEP_S = 0.25
"""By which one channel may be later than the other, beside what the telephones heard later: the switch lets
one lag two frames, and who begins to listen on a busy machine misses some."""


def findings(calls: Sequence[Call], history: History) -> list[str]:
    """Return the differences; each begins with the call's external party."""
    listed: dict[str, list[Listed]] = defaultdict(list)
    for row in history.listed:
        listed[row.number].append(row)
    found = []
    for call in calls:
        notified = call.notified or "nobody"
        head = f"call {call.number} ({call.opening}, {notified} notified: {' '.join(call.actions)})"
        if call.number in history.failed:
            found.append(f"{head}: {history.failed[call.number]}")
            continue
        want = expected(call)
        each = (*_rows(call, want, listed, history.telephones), *_ears(call, want, history.telephones))
        found += [f"{head}: {one}" for one in each]
    known = {party.number for call in calls for party in call.parties}
    found += [f"{number} is listed, whom nobody called" for number in sorted(listed.keys() - known)]
    return found


def _rows(
    call: Call, want: Expectation, listed: Mapping[str, list[Listed]], telephones: Mapping[int, Telephone]
) -> Iterator[str]:
    rows = listed.get(call.outside.number, [])
    if len(rows) != 1:
        yield f"listed {len(rows)} times: {[row.reason for row in rows]}"
    for row in rows:
        yield from _row(want, row, telephones)
    for party in (*call.colleagues, *([call.other] if call.other else [])):
        reasons = [row.reason for row in listed.get(party.number, [])]
        if reasons != ["no_line"] * want.consulted[party.number]:
            yield f"{party.number}'s own calls are listed as {reasons}, not {want.consulted[party.number]}"


def _row(want: Expectation, row: Listed, telephones: Mapping[int, Telephone]) -> Iterator[str]:
    if row.reason != want.reason:
        yield f"{row.reason or 'recorded'}, not {want.reason or 'recorded'}"
        return
    if row.reason is not None:
        return
    if row.keep_answer != want.keep_answer:
        yield f"kept: {row.keep_answer}, not {want.keep_answer}"
    gaps = Counter(gap for gap in row.gaps if gap in ("paused", "hold"))
    if gaps != want.gaps:
        yield f"gaps {dict(gaps)}, not {dict(want.gaps)}"
    channels = (
        ("left", row.left, want.left, want.may_left),
        ("right", row.right, want.right, want.may_right),
    )
    doubt = _doubt(want, row, telephones)
    for side, runs, must, may in channels:
        surely = [run for run in runs if run.frames > doubt * FRAMES_S]
        yield from _foreign(f"in the recording, {side}", surely, {*must, *may})
        yield from _in_order(side, runs, must)
    yield from _together(row, want, telephones)
    yield from _whole(want, row, telephones)


def _foreign(where: str, runs: Iterable[Run], allowed: set[Word]) -> Iterator[str]:
    """Find words that must not be there."""
    for run in runs:
        if run.word.sentence is None and run.word not in allowed:
            yield f"{where}: {_describe(run.word)}, {run.frames} frames at {run.begin:.2f} s"


def _describe(word: Word) -> str:
    return f"party {word.who} saying {word.word}"


def _in_order(side: str, runs: Sequence[Run], must: Sequence[Word]) -> Iterator[str]:
    begins = [_begin(runs, word) for word in must]
    there = [at for at in begins if at is not None]
    if there != sorted(there):
        yield f"{side}: not in the order in which it was said"


def _together(row: Listed, want: Expectation, telephones: Mapping[int, Telephone]) -> Iterator[str]:
    """Words said at the same time are recorded at the same time, as heard: the switch may forward one
    later."""
    for left, right in want.together:
        positions = _begin(row.left, left), _begin(row.right, right)
        heard_positions = _begin(telephones[right.who].ear, left), _begin(telephones[left.who].ear, right)
        if None in positions or None in heard_positions:
            continue
        late, due = positions[0] - positions[1], heard_positions[0] - heard_positions[1]  # type: ignore[operator]
        if abs(late - due) > STEP_S:
            what = f"{_describe(left)} is kept {late:+.2f} s from {_describe(right)}"
            yield f"{what}, and was heard {due:+.2f} s"


def _begin(runs: Iterable[Run], word: Word) -> float | None:
    return next((run.begin for run in runs if run.word == word), None)


def _frames(runs: Iterable[Run]) -> Counter[Word]:
    frames: Counter[Word] = Counter()
    for run in runs:
        frames[run.word] += run.frames
    return frames


def _whole(want: Expectation, row: Listed, telephones: Mapping[int, Telephone]) -> Iterator[str]:
    """Check that a recording has all required words, at their times and lengths."""
    for side, runs, must in (("left", row.left, want.left), ("right", row.right, want.right)):
        kept_frames = _frames(runs)
        for word in must:
            spoken_frames = _frames(telephones[word.who].speech)[word]
            if not spoken_frames:
                yield f"{_describe(word)} was never said"
            elif kept_frames[word] < MOST * spoken_frames:
                yield f"{side}: {_describe(word)} is kept {kept_frames[word]} frames of {spoken_frames}"
            elif kept_frames[word] > spoken_frames + 2:
                what = f"{side}: {_describe(word)} is kept {kept_frames[word]} frames"
                yield f"{what}, and was said {spoken_frames}"
        silent = _hold_seconds(want, row, telephones)
        yield from _in_time(side, runs, must, telephones, row.drift_ms / 1000, silent)


def _hold_seconds(want: Expectation, row: Listed, telephones: Mapping[int, Telephone]) -> float:
    """Return the seconds of the external party's holds that left no audio."""
    hold = sum(_silences(telephones[want.left[0].who].speech)) if want.left else 0.0
    return hold if row.drift_ms / 1000 > hold / 2 else 0.0


def _doubt(want: Expectation, row: Listed, telephones: Mapping[int, Telephone]) -> float:
    """Return the seconds by which the product cannot locate an event in the audio; a redacted stretch is that
    much shorter."""
    hold = _hold_seconds(want, row, telephones)
    return abs(hold - row.drift_ms / 1000) if hold else 0.0


def _silences(runs: Sequence[Run]) -> Iterator[float]:
    for before, after in pairwise(runs):
        if after.begin - before.end > SILENT_S:
            yield after.begin - before.end


def _in_time(
    side: str,
    runs: Sequence[Run],
    must: Sequence[Word],
    telephones: Mapping[int, Telephone],
    drift: float,
    silent: float,
) -> Iterator[str]:
    earlier, later = APART_S + max(drift, silent), APART_S + max(silent - drift, 0)
    late: list[tuple[Word, float]] = []
    for word in must:
        kept_at, spoken_at = _begin(runs, word), _begin(telephones[word.who].speech, word)
        if kept_at is not None and spoken_at is not None:
            late.append((word, kept_at - spoken_at))
    for word, at in late[1:]:
        if not -earlier <= at - late[0][1] <= later:
            yield f"{side}: {_describe(word)} is kept {at - late[0][1]:+.2f} s from where it was said"


def _ears(call: Call, want: Expectation, telephones: Mapping[int, Telephone]) -> Iterator[str]:
    for party in call.parties:
        telephone = telephones.get(party.who, Telephone())
        ears = want.ears[party.who]
        yield from _foreign(f"party {party.who} heard", telephone.ear, {*ears.must, *ears.may})
        yield from _check_hearing(party, ears, telephone, telephones)
        yield from _sentences(party, ears, telephone)
        tones = {tone for tone, frames in telephone.tones.items() if frames >= 2}
        if tones - ears.tones - ears.may_tones:
            yield f"party {party.who} heard the tones {sorted(tones - ears.tones - ears.may_tones)}"
        if ears.tones - tones:
            yield f"party {party.who} heard no tone {sorted(ears.tones - tones)}"


def _check_hearing(
    party: Party, ears: PartyHearing, telephone: Telephone, telephones: Mapping[int, Telephone]
) -> Iterator[str]:
    heard_frames = _frames(telephone.ear)
    for word in ears.must:
        spoken_frames = _frames(telephones.get(word.who, Telephone()).speech)[word]
        if not spoken_frames or heard_frames[word] < MOST * spoken_frames:
            frames = f"{heard_frames[word]} frames of {spoken_frames}"
            yield f"party {party.who} heard {frames} of {_describe(word)}"


def _sentences(party: Party, ears: PartyHearing, telephone: Telephone) -> Iterator[str]:
    times = sentences(telephone.ear)
    for name in SENTENCES:
        if name not in ears.unsure and times[name] != ears.sentences[name]:
            yield f"party {party.who} heard “{name}” {times[name]} times, not {ears.sentences[name]}"


def sentences(runs: Iterable[Run]) -> Counter[str]:
    """Return how often each sentence was heard completely, or in a part that counts as neither complete nor
    absent."""
    steps: dict[int, list[int]] = defaultdict(list)
    for run in runs:
        if run.word.sentence is not None:
            steps[run.word.sentence].append(run.word.word)
    times: Counter[str] = Counter()
    for number, heard_steps in steps.items():
        rounds, before = [0], -1
        for step in heard_steps:
            if step < before:
                rounds.append(0)
            rounds[-1] += 1
            before = step
        name = SENTENCES[number]
        times[name] += sum(1 for each in rounds if each >= STEPS_HEARD)
        if any(each < STEPS_HEARD for each in rounds):
            times[name] += 100  # a part of it: never what it should be
    return times
