"""Rules about an installation that hold whatever happens to its processes.  Pure: facts in, violations out.

:func:`check_invariants` has the rules for any moment; :func:`check_settled` has all of them, for a time at
which every process is up, every call is over and the spool is empty.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from recorder.pipeline.poison_takes import CRASH_INTERVAL, CRASH_LIMIT
from tests.chaos import feature_codes
from tests.chaos.facts import CallSeen, Catalogue, RecordingRow, UnrecordedRow, World
from tests.chaos.violation import (
    ANNOUNCED_AFTER,
    Violation,
    connected_spans,
    first_announcement_end,
    is_announced_twice,
    overlap,
)

GLIMPSE = 0.2
"""Seconds after which a connected daemon must know a call."""

AGAIN = 2.5
"""Seconds after which a daemon has listed the switch's channels again after connecting."""

WINDOW = (-0.3, 1.5)
"""A daemon that dies about an announcement's end may not have written that it was heard: the call is then
listed as unwatched, unless the next daemon still finds it at the switch."""

LAG = 6.0
"""Seconds that a process may be stopped before it is killed, and that a death may be counted late."""

SHORT = 1.5
"""Seconds of talk below which an unobserved call, or one that ended with its switch, may be missing."""

LOOSE_MS = 900
"""Audio that may be missing at the edges of a conversation: the most that events and samples differ."""

KEY_MS = 250
"""How long a phone sends no audio while a key is pressed (RFC 4733)."""

TAILS = frozenset({"hold", "waiting", "unobserved", "repair", "write_error", "paused"})
"""Gap reasons that explain missing parts of a conversation."""


def check_invariants(catalogue: Catalogue) -> list[Violation]:
    """Check the catalogue's rules for any moment."""
    return [
        *_duplicates(catalogue),
        *_ledger(catalogue),
        *(Violation("catalogue", w) for w in catalogue.unsound),
    ]


def check_growth(before: Catalogue, now: Catalogue) -> list[Violation]:
    """Check that rows stay as they were written."""
    later_rows: set[object] = {*now.recordings, *now.unrecorded}
    later_leaves = {(leaf.tenant, leaf.number, leaf.kind, leaf.recording) for leaf in now.leaves}
    absent = [row for row in (*before.recordings, *before.unrecorded) if row not in later_rows]
    absent_leaves = [
        x for x in before.leaves if (x.tenant, x.number, x.kind, x.recording) not in later_leaves
    ]
    return [
        Violation("changed", f"{each} was there, and is not any more") for each in (*absent, *absent_leaves)
    ]


def check_settled(world: World) -> list[Violation]:
    """Check every rule."""
    return [
        *check_invariants(world.catalogue),
        *_calls(world),
        *_objects(world),
        *_sound(world),
        *feature_codes.check_codes(world),
        *_plays(world),
        *(Violation("spool", f"left in the spool: {name}") for name in world.left_in_spool),
        *_quarantine(world),
        *(Violation("process", what) for what in world.strangers),
        *(Violation("handles", what) for what in world.handles),
    ]


# --- the catalogue alone


def _duplicates(catalogue: Catalogue) -> Iterator[Violation]:
    rows: tuple[RecordingRow | UnrecordedRow, ...] = (*catalogue.recordings, *catalogue.unrecorded)
    for name, counted in (("caller", Counter(r.caller for r in rows)), ("id", Counter(r.id for r in rows))):
        for value, count in counted.items():
            if count > 1:
                which = [row for row in rows if value in (row.caller, row.id)]
                yield Violation("twice", f"{count} rows of {name} {value}: {which}")


def _ledger(catalogue: Catalogue) -> Iterator[Violation]:
    numbers: dict[str, list[int]] = defaultdict(list)
    for leaf in catalogue.leaves:
        numbers[leaf.tenant].append(leaf.number)
        if not leaf.whole:
            yield Violation("ledger", f"leaf {leaf.number} of {leaf.tenant} is not what its hash says")
    for tenant, size in catalogue.sizes.items():
        found = sorted(numbers[tenant])
        if found != list(range(size)):
            missing = sorted(set(range(size)) - set(found))
            double = [number for number, count in Counter(found).items() if count > 1]
            yield Violation(
                "ledger", f"{tenant} has {len(found)} leaves of {size}: no {missing}, twice {double}"
            )
    counts = Counter((leaf.kind, leaf.recording) for leaf in catalogue.leaves)
    due = [("recording.stored", row.id) for row in catalogue.recordings]
    due += [("call.not_recorded", row.id) for row in catalogue.unrecorded if row.tenant is not None]
    for kind, recording in due:
        if (count := counts.pop((kind, recording), 0)) != 1:
            yield Violation("ledger", f"{count} leaves of {kind} {recording}")
    for kind, recording in counts:
        if kind in ("recording.stored", "call.not_recorded"):
            yield Violation("ledger", f"a leaf of {kind} {recording}, and no row")


# --- calls


def _calls(world: World) -> Iterator[Violation]:
    recorded = {row.caller: row for row in world.catalogue.recordings}
    listed = {row.caller: row for row in world.catalogue.unrecorded}
    for call in world.calls:
        if call.ended is None:
            yield Violation("endless", f"{call} never ended")
            continue
        recording, why = recorded.pop(call.plan.caller, None), listed.pop(call.plan.caller, None)
        yield from _connected(world, call)
        if recording is not None:
            yield from _may_be_kept(world, call, recording)
        elif must_be_kept(world, call) and not feature_codes.is_meant_to_be_deleted(call, why):
            yield Violation("lost", f"{call} was announced and over, and is {why or 'nowhere'}")
        if recording is None and why is None and is_known(world, call):
            yield Violation(
                "unaccounted", f"{call} is nowhere, and a daemon watched: {world.watch_spans[-4:]}"
            )
    for row in (*recorded.values(), *listed.values()):
        yield Violation("stranger", f"{row}, and there was no such call")


def is_known(world: World, call: CallSeen) -> bool:
    """Whether a daemon was there for any of it; for the end of one that is not to be touched at all.  What a
    colleague does from a number that is no line, and before anybody outside is rung, is nobody's business; of
    a call without a phase a switch that went away told nobody for sure.  Whom a colleague calls is brought to
    a daemon once they have answered; until then it is known by its end, too.  What the switch lists late, and
    what a daemon left to ring that died before it had written of it, a daemon finds when it looks again."""
    if not call.phases or (call.plan.outbound and (not call.plan.line or "ringing" not in call.phases)):
        return False
    if not call.state and set(call.phases) == {"ended"}:
        return False  # a switch that shuts down refuses who calls it then before its dialplan has a word
    is_calling = call.plan.outbound and call.state == "calling"
    if call.state == "never_record" or is_calling:
        return any(since < call.over < until for since, until in connected_spans(world)) and not call.cut
    arrival = call.phases["ringing"] if call.plan.outbound else call.placed
    return any(_is_listed(world, call, arrival, span) for span in connected_spans(world))


def _is_listed(world: World, call: CallSeen, arrival: float, span: tuple[float, float]) -> bool:
    watch_time = overlap(span, (arrival, call.over))
    if call.state != "pickup" and not arrival < span[0] < arrival + world.lists_after:
        return watch_time > GLIMPSE
    return watch_time > AGAIN or (span[0] < call.over < span[1] and not call.cut)


def talk_seconds(world: World, call: CallSeen, since: float | None = None) -> float:
    """Seconds of conversation, without those in which the switch was stopped."""
    if "bridged" not in call.phases:
        return 0.0
    if since is None:
        since = announcement_end(call) if call.plan.at_pickup else call.phases["bridged"]
    still = sum(max(0.0, overlap((since, call.over), span)) for span in world.stalled)
    return max(0.0, call.over - since - still)


def announcement_end(call: CallSeen) -> float:
    """About when its announcement ended."""
    if is_announced_twice(call):
        return call.phases.get("joined", call.over) + ANNOUNCED_AFTER
    if call.plan.at_pickup:
        return first_announcement_end(call)
    if call.plan.outbound:
        return call.phases["bridged"]
    return call.phases.get("ringing", call.phases["bridged"])


def must_be_kept(world: World, call: CallSeen) -> bool:
    """Announced by the switch's own word, connected, and over.  (Who has it destroyed takes that word back:
    the state is then ``unrecorded``.)"""
    if call.state != "announced" or "bridged" not in call.phases or not call.plan.line:
        return False
    announced_at = announcement_end(call)
    for death in world.deaths:
        if death.process == "daemon" and announced_at + WINDOW[0] < death.at < announced_at + WINDOW[1]:
            return False
    unwatched = not any(since < announced_at and until > call.over for since, until in connected_spans(world))
    return talk_seconds(world, call) > (SHORT if unwatched or call.cut else 0.0)


def _may_be_kept(world: World, call: CallSeen, row: RecordingRow) -> Iterator[Violation]:
    """Announced by the switch's word.  Where the daemon went away between the announcement's end and that
    word, and the caller hung up before the switch's bound, they had been told: then nothing of theirs, or,
    where they were already connected, what they said after it."""
    sound = world.sounds.get(row.id)
    is_announced = False
    if sound is not None and sound.announced_ms is not None:
        is_announced = sound.voice_ms == 0 or call.plan.at_pickup
    # A call that is sent on in its announcement at pick-up waits for the next party, and is announced to both
    # of them anew: the last word of a switch that dies then is from before that.
    is_word_old = call.cut and call.state == "pickup" and "joined" in call.phases and is_announced
    if not call.plan.line:
        yield Violation("unannounced", f"{call} has no line, and is kept as {row.id}")
    elif (
        call.state not in ("announced", "", "announcing")
        and not is_word_old
        and not feature_codes.is_deleted(call)
    ):
        yield Violation("unannounced", f"{call} was not announced, and is kept as {row.id}")
    elif (
        call.state != "announced" and not call.cut and not is_announced and not feature_codes.is_deleted(call)
    ):
        yield Violation("unannounced", f"{call} ended before its announcement, and is kept as {row.id}")


def _connected(world: World, call: CallSeen) -> Iterator[Violation]:
    """Check that nobody waits longer than the bound, and nobody is cut off."""
    plan, still = call.plan, 0.0
    since, until = call.placed, call.phases.get("ringing", call.over)
    if plan.outbound:
        # A callee waits for Accord after answering.
        since, until = until + plan.rings, call.phases.get("bridged", call.over)
    for span in world.stalled:
        still += max(0.0, overlap((since, until), span))
    wait = until - since - still if plan.callee == "answers" or not plan.outbound else 0.0
    if wait > world.bound:
        yield Violation("waits", f"{call} waited {wait:.1f} s, and may wait {world.bound:.1f} s")
    if call.cut or plan.callee != "answers" or plan.gives_up is not None:
        return
    if "bridged" not in call.phases:
        yield Violation("unconnected", f"{call} was never connected")
    elif "transferred" in call.phases and "joined" not in call.phases:
        yield Violation("unconnected", f"{call} was sent on, and never connected")
    elif (talk_time := call.over - call.phases.get("joined", call.phases["bridged"])) < plan.talks - 0.5:
        yield Violation("cut off", f"{call} lasted {talk_time:.1f} s of {plan.talks:.1f}")


# --- recordings


def _objects(world: World) -> Iterator[Violation]:
    expected: set[str] = set()
    for row in world.catalogue.recordings:
        mine = {row.prefix + name for name in (*row.objects, "manifest.json")}
        expected |= mine | {f"keys/{row.tenant}/{row.id}.json", f"keys/{row.tenant}/tenant.json"}
        if missing := expected - world.objects:
            yield Violation("objects", f"{row.id} lacks {sorted(missing)}")
            expected -= missing
    for key in sorted(world.objects - expected):
        if not key.startswith(("probe/", "checkpoints/")):
            yield Violation("orphan", f"{key} belongs to no recording")


def _sound(world: World) -> Iterator[Violation]:
    calls = {call.plan.caller: call for call in world.calls}
    for row in world.catalogue.recordings:
        sound, call = world.sounds.get(row.id), calls.get(row.caller)
        if sound is None or call is None or call.ended is None:
            yield Violation("unheard", f"nobody could hear {row.id}")
            continue
        for finding in sound.findings:
            yield Violation("verify", f"{row.id}: {finding}")
        if sound.loudest_before > 0:
            yield Violation("unannounced", f"{row.id} of {call}: the caller is heard before being told")
        if row.announced and sound.announced_ms is None:
            yield Violation("unannounced", f"{row.id} of {call}: the announcement is not in the sound")
        if not row.announced and not call.cut and not any(overlap(s, (call.placed, call.over)) > 0 for s in world.stalled):  # fmt: skip # noqa: E501
            yield Violation("announcement", f"{row.id} of {call}: it was announced, and not found")
        # If the switch was stopped, a bridge is placed that much too late in the audio.
        still = sum(max(0.0, overlap((call.placed, call.over), span)) for span in world.stalled)
        keys = sum(len(keys) for who, keys, _at in call.pressed if who == "external")
        explained = sound.explained_ms + keys * KEY_MS
        missing = (talk_seconds(world, call) - still) * 1000 - sound.voice_ms - explained
        if row.announced and missing > LOOSE_MS:
            yield Violation("unexplained", f"{row.id} of {call}: {missing:.0f} ms are missing, {sound}")
        # Who answered while nobody watched, the switch tells at the end: not of a call that was cut.
        first = call.phases.get("bridged") if is_announced_twice(call) else None
        early = sound.voice_ms - talk_seconds(world, call, first) * 1000
        if row.announced and early > LOOSE_MS and not still and not call.cut:
            yield Violation("ringing", f"{row.id} of {call}: {early:.0f} ms are heard from before the talk")
        if "repair" in sound.gaps and not call.cut:
            yield Violation("gap", f"{row.id} of {call}: repaired, and its switch lived")
        if "write_error" in sound.gaps and not still:
            yield Violation("gap", f"{row.id} of {call}: it ends early, and its switch stood still nowhere")
        is_watched = any(since < call.placed and until > call.over for since, until in connected_spans(world))
        if is_watched and any(gap == "unobserved" for gap in sound.gaps):
            yield Violation("gap", f"{row.id} of {call}: unobserved, and a daemon watched all of it")


def _quarantine(world: World) -> Iterator[Violation]:
    """Set aside is only what its row explains, and only what its switch or its encoder died with."""
    rows = {row.id: row for row in world.catalogue.unrecorded}
    calls = {call.plan.caller: call for call in world.calls}
    for name in world.quarantined:
        row = rows.get(name)
        call = calls.get(row.caller) if row else None
        explained = row is not None and call is not None and (
            (row.reason == "take.encoder_died" and not row.quarantined and has_dying_encoders(world, call))
            or (row.reason == "take.impossible" and row.quarantined and call.cut)
        )  # fmt: skip
        if not explained:
            yield Violation("quarantine", f"{name} was set aside: {row}, {call}")


def has_dying_encoders(world: World, call: CallSeen) -> bool:
    """Whether one worker can have seen as many encoders die since a call's end, and as far apart, as it
    takes to set its take aside."""
    counted, last = 0, float("-inf")
    for death in sorted(world.deaths, key=lambda death: death.at):
        if death.process in ("worker", "supervisor"):
            counted, last = 0, float("-inf")  # its memory went with it
        elif (
            death.process == "encoder"
            and death.at > call.over - LAG
            and death.at - last > CRASH_INTERVAL - LAG
        ):
            counted, last = counted + 1, death.at
            if counted == CRASH_LIMIT:
                return True
    return False


def _plays(world: World) -> Iterator[Violation]:
    """Check that audio was logged and counted before it left, and is what was sealed."""
    counted: Counter[tuple[str, str]] = Counter()
    for each in world.catalogue.listens:
        counted[each.grant, each.play] += each.sent_bytes
    opened = {str(leaf.body.get("listen")) for leaf in world.catalogue.leaves if leaf.kind == "listen.opened"}
    closed = {
        str(leaf.body.get("listen")): leaf.body.get("sent_bytes")
        for leaf in world.catalogue.leaves
        if leaf.kind == "listen.closed"
    }
    grants = {str(leaf.body.get("grant")) for leaf in world.catalogue.leaves if leaf.kind == "grant.given"}
    for grant in world.catalogue.grants:
        if grant not in grants:
            yield Violation("grants", f"no leaf says that {grant} was given")
    for each in world.catalogue.listens:
        sent_bytes = closed.get(each.id)
        if each.id not in opened or sent_bytes != (each.sent_bytes if each.closed else None):
            yield Violation("listens", f"the log does not say of {each} what its row says")
    received: Counter[tuple[str, str]] = Counter()
    for play in world.plays:
        received[play.grant, play.play] += play.received
        if play.status >= 500 and play.status != 503:
            yield Violation("web", f"{play} failed")
        if play.right is False:
            yield Violation("listens", f"{play} is not what was sealed")
    for which, byte_count in received.items():
        if byte_count > counted[which]:
            yield Violation(
                "listens", f"of {which} {byte_count} bytes left, and the log has {counted[which]}"
            )


def reasons(world: World) -> dict[str, int]:
    """The number of calls not recorded by reason, and of unknown calls."""
    counted = Counter(row.reason for row in world.catalogue.unrecorded)
    callers = {row.caller for row in (*world.catalogue.recordings, *world.catalogue.unrecorded)}
    counted["(no daemon: not listed)"] = sum(call.plan.caller not in callers for call in world.calls)
    return dict(counted)
