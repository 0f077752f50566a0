"""Plans a take's redaction and explains its gaps, from its markers and from the announcement's place.

No object may contain what the external party said before the announcement or while it rang; on hold they talk
to nobody. Each such stretch becomes a gap with a reason, and so does audio that is missing from the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from recorder.audio.encoded_take import Gap, LocatedAnnouncement, Prompt
from recorder.audio.hold_redaction import HOLD, WAITING, Stretch, find_holds
from recorder.audio.keep_answers import PLAYED
from recorder.audio.missing_audio import inserted_stretches
from recorder.audio.timeline import (
    MOST_APART,
    SURE_MS,
    LocatedTake,
    Times,
    end_seen,
    find_spans,
    sort_markers,
    to_ms,
)
from recorder.audio.transfer_redaction import find_unconsented
from recorder.audio.wav import Samples, Wav
from recorder.domain.markers import LocatedMarker
from recorder.spool.layout import Take

AFTER_PLAYBACK_MS = 1000
"""How long after the playback's end the left channel stays redacted if the announcement is not found in the
audio."""


@dataclass(frozen=True, slots=True)
class RedactionPlan:
    """What is redacted, in milliseconds of audio: the left channel before ``left_until_ms``, both channels in
    the stretches ``both``, the right channel in the stretches ``right``. ``gaps`` explain these and all other
    missing audio, in order, and without overlap within a channel."""

    left_until_ms: int
    both: tuple[tuple[int, int], ...]
    gaps: tuple[Gap, ...]
    markers: tuple[LocatedMarker, ...]
    drift_ms: int
    right: tuple[tuple[int, int], ...] = ()


def plan(located: LocatedTake) -> RedactionPlan:
    """Plan the redaction of a take. Its prompts cause no redaction, but are gaps: the parties do not hear
    each other meanwhile."""
    take, sound, clock, found = located.take, located.sound, located.clock, located.announcement
    end = clock.duration_ms
    informed = _informed_at(take, clock, found)
    bridged_at = take.first("bridged")
    talk = end if bridged_at is None else _conversation_start(clock, bridged_at, informed)
    unobserved = list(_unobserved(take, clock))
    stretches = [*_holds(take, clock), *find_holds(take, clock.ended)]
    unattended, silent = _unattended(clock, talk, stretches)
    # If the daemon was away, a missing bridge proves nothing.
    silence = "unobserved" if bridged_at is None and unobserved else "ringing"
    # At pick-up the internal party is not informed either, until the announcement starts.
    uninformed = (
        _labelled([(0, _announcement_start(informed, found))], "before_announcement_end")
        if take.start.at_pickup
        else []
    )
    transferred = _labelled(_transferred_externally(take, clock), "transferred_externally")
    pauses = [(each.start_ms, min(each.end_ms, end)) for each in located.pauses]
    # While it rings the right channel has no conversation: early media, a queue's music and messages.
    ringing = _ringing(clock, informed, talk, bridged_at, unobserved)
    both = [
        *transferred,
        *uninformed,
        *_labelled(pauses, "paused"),
        *(each for each in unattended if each[2] == HOLD),
        *(each for each in unattended if each[2] == WAITING),
        *_labelled(unobserved, "unobserved"),
        *_labelled(ringing, "ringing"),
        *_labelled(clock.losses, "write_error"),
    ]
    inserted = list(_inserted(sound, clock, stretches))
    # Ringing or already a conversation: the switch knows only the last bridge.
    unseen = [(start, min(stop, talk)) for start, stop in unobserved]
    left = [
        *_labelled([(0, informed)], "before_announcement_end"),
        *_labelled(unseen, "unobserved"),
        *_labelled([(informed, talk)], silence),
        *both,
        *inserted,
    ]
    played = _labelled(((prompt.offset_ms, min(prompt.end_ms, end)) for prompt in located.prompts), "prompt")
    notices = _labelled(_transfer_notices(take, clock), "participant_notice")
    unconsented = list(_without_consent(take, clock))
    observed = [each for each in both if each[2] not in ("unobserved", "write_error")]
    right = [
        *observed,
        *_labelled(unconsented, "no_participant_consent"),
        *both,
        *played,
        *notices,
        *inserted,
    ]
    gaps = _both_channels(_without_overlap(left), _without_overlap(right))
    if clock.missing_ms:
        reason = "repair" if sound.header_broken else "fax" if _became_fax(take) else "write_error"
        gaps.append(Gap(end, end + clock.missing_ms, "both", reason))
    return RedactionPlan(
        left_until_ms=talk,
        both=(
            *((start, end) for start, end, _ in (*uninformed, *transferred)),
            *ringing,
            *((each.start_ms, each.end_ms) for each in located.pauses if not each.silent),
            *silent,
        ),
        gaps=tuple(gaps),
        markers=tuple(_markers(take, clock, located.prompts)),
        drift_ms=clock.clock_ms - end,
        right=tuple(unconsented),
    )


def silence(samples: Samples, start: int, sample_rate: int, plan: RedactionPlan) -> Samples:
    """A block of the take that starts at frame ``start``, redacted."""
    samples = samples.copy()
    until = -(-plan.left_until_ms * sample_rate // 1000) - start
    if until > 0:
        samples[:until, 0] = 0
    for stretches, lane in ((plan.both, slice(None)), (plan.right, slice(1, None))):
        for begin, end in stretches:
            first = begin * sample_rate // 1000 - start
            last = -(-end * sample_rate // 1000) - start
            if last > 0 and first < len(samples):
                samples[max(first, 0) : last, lane] = np.int16(0)
    return samples


def _became_fax(take: Take) -> bool:
    """Whether the call became a fax: the switch passes that through, and none of it reaches the recording."""
    return any(marker.kind == "recording_stopped" and "fax" in marker.data for marker in take.markers)


def _informed_at(take: Take, clock: Times, found: LocatedAnnouncement | None) -> int:
    """Until when the external party had not been informed, in milliseconds of audio."""
    if found is not None:
        return min(found.end_ms, clock.duration_ms)
    finished, start = take.last("announcement_finished"), take.last("announcement_started")
    if finished is None or (start is not None and start > finished) or clock.set_back_ms:
        return clock.duration_ms
    return min(max(0, clock.unbounded(finished)) + AFTER_PLAYBACK_MS, clock.duration_ms)


def _announcement_start(informed: int, found: LocatedAnnouncement | None) -> int:
    """Until when nothing had been played to both parties, in milliseconds of audio."""
    return informed if found is None else min(found.offset_ms, informed)


def _conversation_start(clock: Times, bridged_at: datetime, informed: int) -> int:
    """From where the conversation is kept, in milliseconds of audio: the latest place at which it may have
    started. Nobody is connected before the announcement's end: if the clock shows otherwise, it was set
    back."""
    at = clock.unbounded(bridged_at)
    if not clock.set_back_ms:
        at = clock.latest(bridged_at)
    elif at < informed - to_ms(MOST_APART):
        at += clock.set_back_ms
    return max(informed, min(at + clock.margin_ms, clock.duration_ms))


def _holds(take: Take, clock: Times) -> Iterator[Stretch]:
    """The external party's holds. If the end of one was not observed, its length is unknown."""
    late = {marker.at for marker in take.markers if marker.kind == "unhold" and "seen" in marker.data}
    for begin, end in clock.holds:
        unseen = [
            marker.at
            for marker in take.markers
            if marker.kind == "unobserved_from" and begin <= marker.at < end
        ]
        # It continued if later markers show it.
        if unseen and end in late:
            yield begin, unseen[-1], HOLD
        elif unseen and end == clock.ended:
            yield begin, unseen[0], HOLD
        else:
            yield begin, end, HOLD


def _unattended(
    clock: Times, talk: int, stretches: Sequence[Stretch]
) -> tuple[list[tuple[int, int, str]], list[tuple[int, int]]]:
    """The stretches of audio in which nobody talks to the external party, and the part of them that is
    redacted.

    What they say meanwhile is meant for nobody, so a redaction starts at the earliest place and ends at the
    latest one: some words of the conversation may be lost, but none of the hold is kept. Between two
    stretches in close succession (an unhold, then a transfer) nobody talks."""
    gaps: list[tuple[int, int, str]] = []
    silent: list[tuple[int, int]] = []
    for begin, end, reason in stretches:
        stop = min(clock.latest(_next_stretch(end, stretches)) + clock.margin_ms, clock.duration_ms)
        if clock.place(begin) >= clock.duration_ms or stop <= talk:
            continue
        if reason == WAITING and end - begin < timedelta(milliseconds=SURE_MS):
            continue  # it is over at once: nothing is missing
        start = max(clock.earliest(begin) - clock.margin_ms, talk)
        silent.append((start, stop))
        gaps += _labelled([(start, stop)], reason)
    return gaps, silent


def _inserted(sound: Wav, clock: Times, stretches: Sequence[Stretch]) -> Iterator[tuple[int, int, str]]:
    """The inserted silence, with the reason of the hold or wait that it belongs to. It may end later than
    that, by what the switch was slow to connect."""
    for start, end in inserted_stretches(sound):
        near = min(
            stretches,
            key=lambda each: max(clock.place(each[0]) - end, start - clock.place(each[1])),
            default=None,
        )
        yield start, end, "write_error" if near is None else near[2]


def _next_stretch(end: datetime, stretches: Sequence[Stretch]) -> datetime:
    """When the stretch that ends at ``end`` meets the next one, if there is one in close succession."""
    near = timedelta(milliseconds=SURE_MS)
    return max((each[0] for each in stretches if end < each[0] <= end + near < each[1]), default=end)


def _ringing(
    clock: Times, informed: int, talk: int, bridged_at: datetime | None, unobserved: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Where the right channel is redacted, too, because nobody can be talking: from the announcement's end
    until somebody was seen to answer."""
    if (
        bridged_at is None
        or clock.set_back_ms
        or talk <= informed
        or any(start < talk for start, _ in unobserved)
    ):
        return []
    if any(begin < bridged_at for begin, _ in clock.holds) and clock.doubt(bridged_at):
        return []
    return [(informed, talk)]


_NOTICE_ENDS = frozenset(
    {
        *(
            "transfer_notice_finished",
            "transfer_notice_interrupted",
            "transfer_question_finished",
            "transfer_question_refused",
        ),
        *("unbridged", "bridged", "hangup", "unobserved_from"),
    }
)
"""Markers that end a transfer notice at the latest."""


def _transfer_notices(take: Take, clock: Times) -> Iterator[tuple[int, int]]:
    """The transfer notices to participants, by the markers, since they are not in the audio. In a conference
    the others are heard meanwhile."""
    since: datetime | None = None
    for marker in take.markers:
        if since is not None and marker.kind in _NOTICE_ENDS:
            yield clock.place(since), clock.place(marker.at)
            since = None
        if marker.kind == "transfer_notice_started" and "in" not in marker.data:
            since = marker.at


def _without_consent(take: Take, clock: Times) -> Iterator[tuple[int, int]]:
    """The stretches with a participant who has not consented, with a margin, since events may be early or
    late. If a clock was set back, the place is unknown, and that is the whole take."""
    for since, until in find_unconsented(take):
        if clock.set_back_ms:
            yield 0, clock.duration_ms
            return
        end = clock.duration_ms if until is None else clock.latest(until) + SURE_MS
        yield max(0, clock.earliest(since) - SURE_MS), min(end, clock.duration_ms)


def _transferred_externally(take: Take, clock: Times) -> Iterator[tuple[int, int]]:
    """The end of a take whose external party was connected with another external party, by a transfer or in a
    conference: from that moment on, because it was not announced to the other one."""
    since: datetime | None = None
    for marker in take.markers:
        if marker.kind == "bridged" or (
            marker.kind == "participant_joined" and marker.data.get("who") == "external"
        ):
            since = marker.at
        elif marker.kind == "transferred_externally":
            begin = clock.earliest(marker.at if since is None else since) - clock.margin_ms
            yield max(0, begin), clock.duration_ms
            return


def _markers(take: Take, clock: Times, prompts: Sequence[Prompt]) -> Iterator[LocatedMarker]:
    """The markers with their offsets, by their times, or in the order of writing if a clock was set back;
    then markers after a located prompt are placed relative to it. No offset is smaller than the one
    before."""
    ends = {"recording_started": 0, "recording_stopped": clock.duration_ms}
    known = {prompt.at: prompt.end_ms for prompt in prompts if clock.set_back_ms}
    latest = moved = 0
    for marker in sort_markers(take, clock):
        if marker.kind in PLAYED and marker.at in known:
            moved = known[marker.at] - clock.unbounded(marker.at)
        at = min(max(clock.unbounded(marker.at) + moved, 0), clock.duration_ms)
        latest = max(latest, ends.get(marker.kind, at))
        yield LocatedMarker(marker.at, marker.kind, marker.data, latest)


def _unobserved(take: Take, clock: Times) -> Iterator[tuple[int, int]]:
    """When nobody watched the call: by the markers, and after the last marker if the end was not observed."""
    for since, until in find_spans(take, "unobserved_from", "unobserved_to", clock.ended):
        yield clock.place(since), clock.place(until)
    if not end_seen(take):
        yield max((clock.place(marker.at) for marker in take.markers), default=0), clock.duration_ms


def _labelled(stretches: Iterable[tuple[int, int]], reason: str) -> list[tuple[int, int, str]]:
    return [(start, end, reason) for start, end in stretches if end > start]


def _without_overlap(stretches: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """The stretches of one channel without overlap: the first in the list wins, and adjacent ones with the
    same reason are merged."""
    edges = sorted({edge for start, end, _ in stretches for edge in (start, end)})
    result: list[tuple[int, int, str]] = []
    for start, end in pairwise(edges):
        reason = next((why for first, last, why in stretches if first <= start and end <= last), None)
        if reason is None:
            continue
        if result and result[-1][1:] == (start, reason):
            result[-1] = (result[-1][0], end, reason)
        else:
            result.append((start, end, reason))
    return result


def _both_channels(left: list[tuple[int, int, str]], right: list[tuple[int, int, str]]) -> list[Gap]:
    """Gaps of both channels: a stretch that is equal in both is listed once."""
    edges = sorted({edge for start, end, _ in (*left, *right) for edge in (start, end)})
    gaps: list[Gap] = []
    for channel, own, other in (("left", left, right), ("right", right, left)):
        for start, end in pairwise(edges):
            here, there = _reason_at(own, start, end), _reason_at(other, start, end)
            if here is None or (here == there and channel == "right"):
                continue
            side = "both" if here == there else channel
            if gaps and (gaps[-1].end_ms, gaps[-1].channel, gaps[-1].reason) == (start, side, here):
                gaps[-1] = Gap(gaps[-1].start_ms, end, side, here)
            else:
                gaps.append(Gap(start, end, side, here))
    return sorted(gaps, key=lambda gap: (gap.start_ms, gap.channel))


def _reason_at(stretches: list[tuple[int, int, str]], start: int, end: int) -> str | None:
    return next((why for first, last, why in stretches if first <= start and end <= last), None)
