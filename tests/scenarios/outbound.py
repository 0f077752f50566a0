"""Scenarios of outbound calls: the external party is the callee."""

from __future__ import annotations

from tests.scenarios.definitions import Expected, Line, Scenario, Step

_WHOLE = ("recording_started", "announcement_started", "announcement_finished", "bridged", "hangup")
_AGAIN = ("announcement_started", "hold", "announcement_interrupted", "unhold", "announcement_started",
          "announcement_finished", "bridged")  # fmt: skip
_ONCE = ("bridged", "recording_started", "announcement_started", "announcement_finished", "hangup")
_AGREED = ("keep_question_asked", "keep_question_heard", "keep_question_answered", "keep_answer_confirmed")
_RECORDED = Expected("recorded", markers=_WHOLE, absent=("announcement_interrupted",))
_LATER = Step("bridged", 1.0, "hang_up")
_FINISHED = "mark announcement_finished"


def _unrecorded(reason: str, *markers: str, bridged: bool = True, state: str = "unrecorded", plays: int = 1,
                recorded: bool = False, answers: tuple[str, ...] = (),
                absent: tuple[str, ...] = ()) -> Expected:  # fmt: skip
    return Expected("not_recorded", reason, markers, bridged=bridged, state=state, recorded=recorded,
                    sound=False, plays=plays, answers=answers, absent=absent)  # fmt: skip


def _consent(name: str, line: Line, expected: Expected, *steps: Step) -> Scenario:
    return Scenario(name, expected, line, outbound=True, steps=(*steps, _LATER))


_UNLISTED = Expected(None, state="unrecorded", recorded=False, sound=False, plays=0)

OUTBOUND = (
    Scenario("out", _RECORDED, "out", outbound=True),
    Scenario("out_colleague_ends_it", _RECORDED, "out", outbound=True,
             steps=(Step("bridged", 1.0, "callee_hangs_up"),)),
    Scenario("out_hangs_up_in_announcement",
             _unrecorded("hung_up_in_announcement", "recording_started", "hangup", bridged=False,
                         state="announcing"),
             "out", outbound=True, steps=(Step("announcing", 0.5, "hang_up"),)),
    Scenario("out_colleague_gives_up_in_announcement",
             _unrecorded("hung_up_in_announcement", "recording_started", "hangup", bridged=False,
                         state="announcing"),
             "out", outbound=True, steps=(Step("announcing", 0.5, "callee_hangs_up"),)),
    Scenario("out_busy", _unrecorded("never_connected", bridged=False, state="calling", plays=0),
             "out", "busy", outbound=True, steps=()),
    Scenario("out_colleague_gives_up_while_it_rings",
             _unrecorded("never_connected", bridged=False, state="calling", plays=0),
             "out", "silent", outbound=True, steps=(Step("ringing", 0.5, "callee_hangs_up"),)),
    Scenario("out_star_in_announcement", _RECORDED, "out", outbound=True,
             steps=(Step("announcing", 0.4, "press", "*"), _LATER)),
    Scenario("out_hold_in_announcement", Expected("recorded", markers=_AGAIN, plays=2), "out", outbound=True,
             steps=(Step("announcing", 0.3, "hold"), Step("announcing", 2.5, "unhold"), _LATER)),
    Scenario("out_agreed", Expected("recorded", markers=(*_WHOLE[:4], *_AGREED),
                                    answers=("yes external key",)),
             "out", outbound=True,
             steps=(Step("bridged", 0.5, "callee_presses", "*5"),
                    Step("mark keep_question_heard", 0.4, "press", "1"),
                    Step("mark keep_answer_confirmed", 0.4, "hang_up"))),
    Scenario("out_paused_and_resumed",
             Expected("recorded", markers=(*_WHOLE[:4], "paused", "resumed", "moment_marked", "hangup")),
             "out", outbound=True,
             steps=(Step("bridged", 0.5, "callee_presses", "*6"),
                    Step("mark paused", 1.5, "callee_presses", "*7"),
                    Step("mark resumed", 0.7, "callee_presses", "*8"),
                    Step("mark moment_marked", 0.7, "hang_up"))),
    Scenario("out_the_callee_dials_codes",
             Expected("recorded", markers=_WHOLE, absent=("paused", "moment_marked", "keep_question_asked")),
             "out",
             outbound=True,
             steps=(Step("bridged", 0.5, "press", "*5*6*8"), Step("bridged", 4.0, "hang_up"))),
    Scenario("out_of_a_line_that_is_not_recorded", _UNLISTED, "line", outbound=True),
    Scenario("out_of_nobody_s_line", _UNLISTED, "unknown", outbound=True),
    Scenario("out_to_an_emergency_number", _unrecorded("never_record", state="", plays=0), "out",
             outbound=True, calls="112"),
    Scenario("out_once_connected",
             Expected("recorded", markers=_ONCE, absent=("announcement_interrupted",)), "out_once",
             outbound=True,
             steps=(Step(_FINISHED, 1.0, "hang_up"),)),
    Scenario("out_once_connected_colleague_ends_it", Expected("recorded", markers=_ONCE), "out_once",
             outbound=True, steps=(Step(_FINISHED, 1.0, "callee_hangs_up"),)),
    Scenario("out_once_connected_busy",
             _unrecorded("never_connected", bridged=False, state="calling", plays=0), "out_once", "busy",
             outbound=True, steps=()),
    Scenario("out_once_connected_hangs_up_in_announcement",
             _unrecorded("hung_up_in_announcement", state="announcing", recorded=True), "out_once",
             outbound=True, steps=(Step("announcing", 0.5, "hang_up"),)),
    Scenario("out_once_connected_agreed",
             Expected("recorded", markers=(*_ONCE[:4], *_AGREED), answers=("yes external key",)), "out_once",
             outbound=True,
             steps=(Step(_FINISHED, 0.5, "callee_presses", "*5"),
                    Step("mark keep_question_heard", 0.4, "press", "1"),
                    Step("mark keep_answer_confirmed", 0.4, "hang_up"))),
)  # fmt: skip

CONSENT = (
    _consent("out_opt_in_yes", "out_opt_in",
           Expected("recorded", markers=("question_finished", "question_answered", *_WHOLE),
                    answers=("yes",)),
           Step("mark question_finished", 0.4, "press", "1")),
    _consent("out_opt_in_no", "out_opt_in", _unrecorded("declined", "question_answered", plays=0,
                                                      answers=("no",)),
           Step("mark question_finished", 0.4, "press", "2")),
    _consent("out_opt_in_refused_in_question", "out_opt_in",
           _unrecorded("declined", "question_answered", plays=0, answers=("no",),
                       absent=("question_finished",)),
           Step("plays question", 0.4, "press", "2")),
    _consent("out_opt_in_refused_in_announcement", "out_opt_in",
           _unrecorded("declined", "question_answered", "question_answered", answers=("yes", "no"),
                       absent=("announcement_finished",)),
           Step("mark question_finished", 0.4, "press", "1"), Step("announcing", 0.4, "press", "2")),
    _consent("out_opt_in_silence", "out_opt_in",
           _unrecorded("no_answer", "question_finished", "question_answered", plays=0, answers=("none",))),
    _consent("out_opt_in_twice_another_key", "out_opt_in",
           _unrecorded("unclear", "question_finished", "question_finished", "question_answered", plays=0,
                       answers=("unclear",)),
           Step("mark question_finished", 0.4, "press", "5"),
           Step("mark question_finished 2", 0.4, "press", "6")),
    Scenario("out_opt_in_hangs_up_in_question",
             _unrecorded("hung_up_in_question", "hangup", bridged=False, state="asking", plays=0),
             "out_opt_in", outbound=True, steps=(Step("plays question", 0.4, "hang_up"),)),
    _consent("out_language_chosen", "out_languages",
           Expected("recorded", markers=("question_answered", "question_finished", "question_answered",
                                         *_WHOLE), answers=("key", "yes"),
                    plays=0),
           Step("plays menu", 0.4, "press", "2"), Step("mark question_finished", 0.4, "press", "1")),
    _consent("out_language_not_chosen", "out_languages",
           Expected("recorded", markers=("question_answered", "question_finished", "question_answered",
                                         *_WHOLE), answers=("none", "yes")),
           Step("mark question_finished 2", 0.4, "press", "1")),
    Scenario("out_hangs_up_in_menu",
             _unrecorded("hung_up_in_question", "hangup", bridged=False, state="asking", plays=0),
             "out_languages", outbound=True, steps=(Step("plays menu", 0.4, "hang_up"),)),
    _consent("out_opt_out_silence", "out_opt_out",
           Expected("recorded", markers=("announcement_finished", "question_answered", "bridged"),
                    answers=("none",))),
    _consent("out_opt_out_refused", "out_opt_out",
           _unrecorded("declined", "announcement_finished", "question_answered", answers=("no",)),
           Step(_FINISHED, 0.4, "press", "2")),
    _consent("out_opt_out_refused_in_announcement", "out_opt_out",
           _unrecorded("declined", "question_answered", answers=("no",), absent=("announcement_finished",)),
           Step("announcing", 0.4, "press", "2")),
)  # fmt: skip
"""Outbound calls with a consent prompt before the connection."""

ROUGH_OUTBOUND = (
    Scenario("out_no_daemon", _UNLISTED, "out", outbound=True, daemon=False),
    Scenario("out_daemon_killed_in_announcement",
             _unrecorded("daemon_away", "recording_started"), "out", outbound=True,
             steps=(Step("announcing", 0.4, "kill_daemon"), _LATER)),
    Scenario("out_daemon_killed_in_question",
             _unrecorded("daemon_away", plays=0), "out_opt_in", outbound=True,
             steps=(Step("plays question", 0.4, "kill_daemon"), _LATER)),
    Scenario("out_daemon_killed_in_conversation",
             Expected("recorded", markers=(*_WHOLE[:4], "unobserved_from")), "out", outbound=True,
             steps=(Step("bridged", 0.5, "kill_daemon"), Step("bridged", 1.5, "hang_up"))),
    Scenario("out_daemon_back_in_conversation",
             Expected("recorded", markers=(*_WHOLE[:4], "unobserved_from", "hangup")), "out", outbound=True,
             steps=(Step("bridged", 0.5, "kill_daemon"), Step("bridged", 0.7, "start_daemon"),
                    Step("bridged", 1.5, "hang_up"))),
    Scenario("out_daemon_stalled_before_the_call", _unrecorded("daemon_late", plays=0), "out", outbound=True,
             steps=(Step("asked", 0.0, "stall_daemon"), Step("asked", 5.0, "wake_daemon"), _LATER)),
    Scenario("out_daemon_stalled_in_announcement",
             _unrecorded("daemon_late|announcement_failed|recording_failed", "recording_started"), "out",
             outbound=True,
             steps=(Step("announcing", 0.4, "stall_daemon"), Step("announcing", 9.0, "wake_daemon"), _LATER)),
    Scenario("out_daemon_stalled_and_killed_in_announcement", _unrecorded("daemon_away"), "out",
             outbound=True,
             steps=(Step("announcing", 0.4, "stall_daemon"), Step("announcing", 3.0, "kill_daemon"), _LATER)),
    Scenario("out_once_connected_daemon_killed_in_announcement", _unrecorded("daemon_away", state="late"),
             "out_once", outbound=True,
             steps=(Step("announcing", 0.4, "kill_daemon"), Step("announcing", 8.0, "hang_up"))),
)  # fmt: skip
"""The daemon is down, dies or stalls: the call is connected without a recording."""
