"""Scenarios with the announcement at pick-up, to both parties."""

from __future__ import annotations

from tests.scenarios.definitions import Expected, Scenario, Step

_START = ("bridged", "recording_started", "announcement_started", "announcement_finished")
_AGAIN = ("bridged", "recording_started", "announcement_started", "announcement_interrupted",
          "recording_started",
          "announcement_started", "announcement_finished", "hangup")  # fmt: skip
_AGREED = (
    "keep_question_asked",
    "keep_question_heard",
    "keep_question_answered",
    "keep_answer_confirmed",
    "hangup",
)
_FINISHED = "mark announcement_finished"
_LATER = Step(_FINISHED, 1.0, "hang_up")


def _unrecorded(reason: str, *, state: str, plays: int, bridged: bool = True, recorded: bool = False
                ) -> Expected:  # fmt: skip
    return Expected("not_recorded", reason, bridged=bridged, state=state, recorded=recorded, sound=False,
                    plays=plays)  # fmt: skip


AT_PICKUP = (
    Scenario("at_pickup", Expected("recorded", markers=(*_START, "hangup"),
                                   absent=("announcement_interrupted",)),
             line="at_pickup", steps=(_LATER,)),
    Scenario("at_pickup_callee_ends_it", Expected("recorded", markers=(*_START, "hangup")), line="at_pickup",
             steps=(Step(_FINISHED, 1.0, "callee_hangs_up"),)),
    Scenario("at_pickup_busy", _unrecorded("never_connected", state="pickup", plays=0, bridged=False),
             line="at_pickup", callee="busy", steps=()),
    Scenario("at_pickup_hangs_up_while_ringing",
             _unrecorded("never_connected", state="pickup", plays=0, bridged=False),
             line="at_pickup", callee="silent", steps=(Step("ringing", 0.5, "hang_up"),)),
    Scenario("at_pickup_hangs_up_in_announcement",
             _unrecorded("hung_up_in_announcement", state="announcing", plays=1, recorded=True),
             line="at_pickup", steps=(Step("announcing", 0.5, "hang_up"),)),
    Scenario("at_pickup_star_in_announcement", Expected("recorded", markers=(*_START, "hangup")),
             line="at_pickup",
             steps=(Step("announcing", 0.3, "press", "*"), Step("announcing", 0.6, "callee_presses", "*"),
                    _LATER)),
    Scenario("at_pickup_hold_in_announcement", Expected("recorded", markers=_AGAIN, plays=2),
             line="at_pickup",
             steps=(Step("announcing", 0.3, "hold"), Step("announcing", 2.5, "unhold"), _LATER)),
    Scenario("at_pickup_hold_and_back_in_announcement", Expected("recorded", markers=_AGAIN, plays=2),
             line="at_pickup",
             steps=(Step("announcing", 0.3, "hold"), Step("announcing", 0.7, "unhold"), _LATER)),
    Scenario("at_pickup_transferred_in_announcement", Expected("recorded", markers=_AGAIN, plays=2),
             line="at_pickup", steps=(Step("announcing", 0.4, "transfer"), _LATER)),
    Scenario("at_pickup_agreed",
             Expected("recorded", markers=(*_START, *_AGREED), answers=("yes external key",)),
             line="at_pickup",
             steps=(Step(_FINISHED, 0.5, "callee_presses", "*5"),
                    Step("mark keep_question_heard", 0.4, "press", "1"),
                    Step("mark keep_answer_confirmed", 0.4, "hang_up"))),
    Scenario("at_pickup_asked_by_the_line",
             Expected("recorded", markers=(*_START, *_AGREED), answers=("no external key",)),
             line="at_pickup_and_asked",
             steps=(Step("mark keep_question_heard", 0.4, "press", "2"),
                    Step("mark keep_answer_confirmed", 0.4, "hang_up"))),
)  # fmt: skip

ROUGH_AT_PICKUP = (
    Scenario("at_pickup_daemon_away_when_it_is_answered", _unrecorded("daemon_away", state="pickup", plays=0),
             line="at_pickup", callee="slow",
             steps=(Step("ringing", 0.3, "kill_daemon"), Step("bridged", 1.0, "hang_up"))),
    Scenario("at_pickup_daemon_back_when_it_is_answered", Expected("recorded", markers=(*_START, "hangup")),
             line="at_pickup", callee="slow",
             steps=(Step("ringing", 0.3, "kill_daemon"), Step("ringing", 0.5, "start_daemon"), _LATER)),
    Scenario("at_pickup_daemon_killed_in_announcement",
             _unrecorded("daemon_away", state="late", plays=1), line="at_pickup",
             steps=(Step("announcing", 0.4, "kill_daemon"), Step("announcing", 8.0, "hang_up"))),
    Scenario("at_pickup_daemon_stalled_in_announcement",
             _unrecorded("daemon_late|announcement_failed|recording_failed", state="late", plays=1),
             line="at_pickup",
             steps=(Step("announcing", 0.4, "stall_daemon"), Step("announcing", 8.0, "wake_daemon"),
                    Step("announcing", 10.0, "hang_up"))),
)  # fmt: skip
"""The daemon dies or stalls: the switch itself ends a recording without a complete announcement."""
