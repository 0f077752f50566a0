"""Scenarios of calls as data, for the practice switch and the real FreeSWITCH alike.

A scenario has the call, the steps and their times, and the expected result.  ``run.py``
plays it through a :class:`~tests.scenarios.driver.Driver`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Line = Literal[
    "line", "unknown", "never_record", "damaged", "emergency", "listed", "opt_out", "opt_in", "languages",
    "keep", "keep_or_destroy", "keep_at_start", "own_words", "at_pickup", "at_pickup_and_asked",
    "deletable", "joining_alone", "joining_both", "joining_opt_in", "joining_opt_out", "out", "out_once",
    "out_opt_in", "out_opt_out", "out_languages", "out_joining",
    "forwarded", "suspended",
]  # fmt: skip
"""The called number: a customer's; an unknown one; one on the snapshot's never-record list; one with a
damaged prompt; an emergency number; one on the switch's own never-record list; lines with questions before or
during the conversation; lines announced at pick-up; one on which colleagues may delete; lines that notify or
ask a transfer target; lines with announced outbound calls; one that is forwarded to an external party; one
that the provider has suspended.  For an outbound call it is the calling number."""

Callee = Literal["answers", "busy", "silent", "slow"]
"""``slow``: answers after some seconds."""

Phase = str
"""``asked``, ``announcing``, ``ringing``, ``bridged``; ``plays NAME`` (a sound of ``files.LOWS`` starts) and
``mark KIND`` (the marker is on disk), followed by a number for another occurrence than the first."""

Action = Literal[
    "press", "speak", "hold", "unhold", "hang_up", "callee_presses", "callee_holds", "callee_unholds",
    "callee_hangs_up", "transfer", "kill_daemon", "stall_daemon", "wake_daemon", "start_daemon",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """``action`` happens ``after`` seconds of ``phase``, counted from its first start.  A transfer goes to
    the number called ``with_`` (``other``, ``external``), by default the line's own."""

    phase: Phase
    after: float
    action: Action
    with_: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected result.

    ``outcome`` and ``reason`` are as in ``take.json``; ``outcome`` ``None``: there is no folder; two reasons
    separated by ``|``: either of them.  ``markers`` occur in this order (others may be between them),
    ``absent`` do not occur, ``once`` occur exactly once.  ``bridged``: the two were connected.  ``state`` is
    the switch's ``accord_state`` while connected, or at the end; ``recorded``: the switch was recording then.
    ``sound``: an audio file is left in the spool.  ``plays``: how often the announcement was played.
    ``answers``: the answer to each question, in order.  ``there``: the participants who joined (``+line``, by
    the called number) and left (``-line``), in order; not checked if empty.
    """

    outcome: str | None
    reason: str | None = None
    markers: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    bridged: bool = True
    state: str = "announced"
    recorded: bool = True
    sound: bool = True
    plays: int = 1
    answers: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    once: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A call.  ``daemon``: whether it is up when the call arrives.  ``name_shown`` and ``header`` are the
    display name and an ``X-`` header's value of the INVITE.  ``outbound``: a colleague calls ``calls``, or a
    number of its own; the external party is the callee, and ``callee_…`` are the colleague's actions."""

    name: str
    expected: Expected
    line: Line = "line"
    callee: Callee = "answers"
    daemon: bool = True
    steps: tuple[Step, ...] = (Step("bridged", 1.0, "hang_up"),)
    name_shown: str = ""
    header: str = ""
    outbound: bool = False
    calls: str = ""

    @property
    def touches_the_daemon(self) -> bool:
        """Whether it kills or stalls the daemon: nothing else can be played meanwhile."""
        return any(step.action.endswith("_daemon") for step in self.steps)


FORGED = "%0AUnique-ID%3A%20evil%0Avariable_accord_recording%3A%20evil"
"""A caller's name that would become a header in a client that decodes before it splits lines."""

_WHOLE = ("recording_started", "announcement_started", "announcement_finished", "bridged", "hangup")
_RECORDED = Expected("recorded", markers=_WHOLE, absent=("announcement_interrupted",))
_UNTOUCHED = Expected(
    "not_recorded", "never_record", state="never_record", recorded=False, sound=False, plays=0
)


def _unrecorded(reason: str, *markers: str, bridged: bool = True, state: str = "unrecorded", plays: int = 1
                ) -> Expected:  # fmt: skip
    return Expected("not_recorded", reason, markers, bridged=bridged, state=state, recorded=False,
                    sound=False, plays=plays)  # fmt: skip


SCENARIOS = (
    Scenario("normal", _RECORDED),
    Scenario("callee_ends_it", _RECORDED, steps=(Step("bridged", 1.0, "callee_hangs_up"),)),
    Scenario("hangs_up_in_announcement",
             _unrecorded("hung_up_in_announcement", "recording_started", "hangup", bridged=False,
                         state="announcing"),
             steps=(Step("announcing", 0.5, "hang_up"),)),
    Scenario("hangs_up_while_ringing",
             _unrecorded("never_connected", "announcement_finished", "hangup", bridged=False,
                         state="announced"),
             callee="silent", steps=(Step("ringing", 0.5, "hang_up"),)),
    Scenario("busy",
             _unrecorded("never_connected", "announcement_finished", "hangup", bridged=False,
                         state="announced"),
             callee="busy", steps=()),
    Scenario("hold_in_announcement",
             Expected("recorded", markers=("announcement_started", "hold", "announcement_interrupted",
                                           "unhold", "announcement_started", "announcement_finished",
                                           "bridged"),
                      plays=2),
             steps=(Step("announcing", 0.3, "hold"), Step("announcing", 2.5, "unhold"),
                    Step("bridged", 1.0, "hang_up"))),
    Scenario("hold_and_back_in_announcement",
             Expected("recorded", markers=("announcement_started", "hold", "unhold",
                                           "announcement_interrupted", "announcement_started",
                                           "announcement_finished", "bridged"),
                      plays=2),
             steps=(Step("announcing", 0.3, "hold"), Step("announcing", 0.7, "unhold"),
                    Step("bridged", 1.0, "hang_up"))),
    Scenario("hold_in_conversation",
             Expected("recorded", markers=(*_WHOLE[:4], "hold", "unhold", "hangup")),
             steps=(Step("bridged", 0.5, "hold"), Step("bridged", 1.2, "unhold"),
                    Step("bridged", 2.0, "hang_up"))),
    Scenario("no_daemon",
             Expected(None, state="unrecorded", recorded=False, sound=False, plays=0), daemon=False),
    Scenario("daemon_killed_in_announcement",
             _unrecorded("daemon_away", "recording_started", "announcement_started"),
             steps=(Step("announcing", 0.4, "kill_daemon"), Step("bridged", 1.0, "hang_up"))),
    Scenario("daemon_killed_in_conversation",
             Expected("recorded", markers=(*_WHOLE[:4], "unobserved_from")),
             steps=(Step("bridged", 0.5, "kill_daemon"), Step("bridged", 1.5, "hang_up"))),
    Scenario("daemon_stalled_before_the_call",
             _unrecorded("daemon_late", plays=0),
             steps=(Step("asked", 0.0, "stall_daemon"), Step("bridged", 0.5, "wake_daemon"),
                    Step("bridged", 2.5, "hang_up"))),
    Scenario("daemon_stalled_in_announcement",
             _unrecorded("daemon_late|announcement_failed", "recording_started"),
             steps=(Step("announcing", 0.4, "stall_daemon"), Step("bridged", 0.5, "wake_daemon"),
                    Step("bridged", 2.5, "hang_up"))),
    Scenario("unknown_number", _unrecorded("no_line", plays=0), line="unknown"),
    Scenario("damaged_prompt", _unrecorded("prompt_damaged", plays=0), line="damaged"),
    Scenario("suspended", _unrecorded("suspended", plays=0), line="suspended"),
    Scenario("never_record_by_snapshot", _unrecorded("never_record", plays=0), line="never_record"),
    Scenario("never_record_by_the_switch", _UNTOUCHED, line="listed"),
    Scenario("emergency_number", _UNTOUCHED, line="emergency"),
    Scenario("forged_name", _RECORDED, name_shown=f"Eve{FORGED}"),
    Scenario("forged_header", _RECORDED, header=f"x{FORGED}"),
)  # fmt: skip

KEYS = tuple(
    Scenario(f"key_{name}_in_announcement", _RECORDED,
             steps=(Step("announcing", 0.4, "press", key), Step("bridged", 0.5, "hang_up")))
    for key, name in [*((str(digit), str(digit)) for digit in range(10)), ("*", "star"), ("#", "hash")]
)  # fmt: skip
"""Each of the twelve keys during the announcement: none skips it."""

NO_ANSWER = Scenario(
    "no_answer",
    _unrecorded("never_connected", "announcement_finished", "hangup", bridged=False, state="announced"),
    callee="silent",
    steps=(),
)
"""It rings until the switch gives up, which takes a minute."""
