"""Scenarios with questions before and during the conversation."""

from __future__ import annotations

from tests.scenarios.definitions import Expected, Line, Scenario, Step

OVER = Step("bridged", 1.0, "hang_up")
_START = ("recording_started", "announcement_started", "announcement_finished")


def _recorded(*markers: str, answers: tuple[str, ...], plays: int = 1) -> Expected:
    return Expected("recorded", markers=(*markers, "bridged", "hangup"), answers=answers, plays=plays)


def _unrecorded(reason: str, *answers: str, plays: int = 0, absent: tuple[str, ...] = (),
                state: str = "unrecorded") -> Expected:  # fmt: skip
    return Expected("not_recorded", reason, absent=absent, state=state, recorded=False, sound=False,
                    plays=plays, answers=answers)  # fmt: skip


def _left(reason: str, *, state: str, plays: int = 0) -> Expected:
    return Expected(
        "not_recorded", reason, bridged=False, state=state, recorded=False, sound=False, plays=plays
    )


_LATER = Step("mark question_answered", 1.0, "hang_up")
NOTHING_CAPTURED = ("recording_started",)

BEFORE = (
    Scenario("opt_in_yes", _recorded("question_finished", "question_answered", *_START, answers=("yes",)),
             line="opt_in",
             steps=(Step("mark question_finished", 0.3, "press", "1"), OVER)),
    Scenario("opt_in_yes_too_early", _unrecorded("no_answer", "none", absent=NOTHING_CAPTURED), line="opt_in",
             steps=(Step("plays question", 0.3, "press", "1"), OVER)),
    Scenario("opt_in_no", _unrecorded("declined", "no", absent=NOTHING_CAPTURED), line="opt_in",
             steps=(Step("mark question_finished", 0.3, "press", "2"), OVER)),
    Scenario("opt_in_no_in_the_question", _unrecorded("declined", "no", absent=NOTHING_CAPTURED),
             line="opt_in", steps=(Step("plays question", 0.3, "press", "2"), OVER)),
    Scenario("opt_in_no_in_the_announcement", _unrecorded("declined", "yes", "no", plays=1), line="opt_in",
             steps=(Step("mark question_finished", 0.3, "press", "1"),
                    Step("announcing", 0.4, "press", "2"), OVER)),
    Scenario("opt_in_silence", _unrecorded("no_answer", "none", absent=NOTHING_CAPTURED), line="opt_in"),
    Scenario("opt_in_wrong_key_then_yes", _recorded("question_finished", "question_finished",
                                                    "question_answered", *_START, answers=("yes",)),
             line="opt_in",
             steps=(Step("mark question_finished", 0.3, "press", "7"),
                    Step("mark question_finished 2", 0.3, "press", "1"), OVER)),
    Scenario("opt_in_a_burst_of_keys", _recorded("question_finished", "question_finished",
                                                 "question_answered", *_START, answers=("yes",)),
             line="opt_in",
             steps=(Step("mark question_finished", 0.3, "press", "9*#7"),
                    Step("mark question_finished 2", 0.3, "press", "1"), OVER)),
    Scenario("opt_in_wrong_keys", _unrecorded("unclear", "unclear", absent=NOTHING_CAPTURED), line="opt_in",
             steps=(Step("mark question_finished", 0.3, "press", "*"),
                    Step("mark question_finished 2", 0.3, "press", "#"), OVER)),
    Scenario("opt_in_hang_up", _left("hung_up_in_question", state="asking"), line="opt_in",
             steps=(Step("plays question", 0.4, "hang_up"),)),
    Scenario("opt_in_hold_in_question", _recorded("question_finished", "question_answered", *_START,
                                                  answers=("yes",)),
             line="opt_in",
             steps=(Step("plays question", 0.3, "hold"), Step("plays question", 2.0, "unhold"),
                    Step("mark question_finished", 0.3, "press", "1"), OVER)),
    Scenario("opt_out_silence",
             Expected("recorded", markers=(*_START, "bridged", "question_answered"), answers=("none",)),
             line="opt_out", steps=(Step("mark question_answered", 1.0, "hang_up"),)),
    Scenario("opt_out_silence_while_it_rings", _recorded(*_START, "question_answered", answers=("none",)),
             line="opt_out", callee="slow"),
    Scenario("opt_out_refused", _unrecorded("declined", "no", plays=1, state="declined"), line="opt_out",
             steps=(Step("mark announcement_finished", 0.5, "press", "2"), _LATER)),
    Scenario("opt_out_refused_while_it_rings", _unrecorded("declined", "no", plays=1, state="declined"),
             line="opt_out", callee="slow",
             steps=(Step("mark announcement_finished", 1.0, "press", "2"), OVER)),
    Scenario("opt_out_refused_in_the_announcement", _unrecorded("declined", "no", plays=1), line="opt_out",
             steps=(Step("announcing", 0.4, "press", "2"), OVER)),
    Scenario("opt_out_wrong_key_then_refused", _unrecorded("declined", "no", plays=1, state="declined"),
             line="opt_out",
             steps=(Step("mark announcement_finished", 0.5, "press", "5"),
                    Step("mark announcement_finished", 6.0, "press", "2"),
                    Step("mark announcement_finished", 7.0, "hang_up"))),
    Scenario("opt_out_wrong_keys", _unrecorded("unclear", "unclear", plays=1, state="declined"),
             line="opt_out",
             steps=(Step("mark announcement_finished", 0.5, "press", "5"),
                    Step("mark announcement_finished", 2.5, "press", "9"), _LATER)),
    Scenario("opt_out_hang_up",
             Expected("not_recorded", "hung_up_in_announcement", markers=(*_START, "bridged"),
                      state="refusable", sound=False),
             line="opt_out", steps=(Step("mark announcement_finished", 1.5, "hang_up"),)),
    Scenario("opt_out_hang_up_while_it_rings",
             _left("hung_up_in_announcement", state="refusable", plays=1), line="opt_out", callee="slow",
             steps=(Step("mark announcement_finished", 1.0, "hang_up"),)),
    Scenario("language_chosen", _recorded("question_answered", "question_finished", "question_answered",
                                          *_START, answers=("key", "yes"),
                                          plays=0),
             line="languages",
             steps=(Step("plays menu", 0.4, "press", "2"),
                    Step("mark question_finished", 0.3, "press", "1"), OVER)),
    Scenario("language_not_chosen", _recorded("question_answered", "question_finished", "question_answered",
                                              *_START,
                                              answers=("none", "yes")),
             line="languages", steps=(Step("mark question_finished 2", 0.3, "press", "1"), OVER)),
    Scenario("hangs_up_in_menu", _left("hung_up_in_question", state="asking"), line="languages",
             steps=(Step("plays menu", 0.4, "hang_up"),)),
)  # fmt: skip
"""Questions before the conversation."""

ROUGH_BEFORE = (
    Scenario("daemon_killed_in_question", _unrecorded("daemon_away"), line="opt_in",
             steps=(Step("plays question", 0.4, "kill_daemon"), OVER)),
    Scenario("daemon_stalled_in_question", _unrecorded("daemon_late|announcement_failed"), line="opt_in",
             steps=(Step("plays question", 0.4, "stall_daemon"), Step("plays question", 2.0, "press", "7"),
                    Step("bridged", 0.5, "wake_daemon"), Step("bridged", 2.5, "hang_up"))),
    Scenario("daemon_killed_in_the_time_to_refuse", _unrecorded("daemon_away", plays=1, state="late"),
             line="opt_out",
             steps=(Step("mark announcement_finished", 0.5, "kill_daemon"),
                    Step("bridged", 12.0, "hang_up"))),
)  # fmt: skip
"""Questions before the conversation during which the daemon dies: no answer appears."""


def _agreement(
    name: str,
    line: Line,
    answers: tuple[str, ...],
    *markers: str,
    steps: tuple[Step, ...],
    once: tuple[str, ...] = (),
) -> Scenario:
    expected = Expected(
        "recorded", markers=(*_START, "bridged", *markers, "hangup"), answers=answers, once=once
    )
    return Scenario(name, expected, line=line, steps=steps)


ASKS = Step("bridged", 0.5, "callee_presses", "*5")
_QUESTION = "mark keep_question_heard"
_END = Step("mark keep_answer_confirmed", 0.4, "hang_up")
_SPEAKS = Step(_QUESTION, 0.3, "speak")
_SAID_YES = Step(_QUESTION, 2.0, "callee_presses", "1")
_UNHEARD = ("keep_question_asked", "keep_question_heard", "keep_answer_unheard")
_WHOLE = ("keep_question_asked", "keep_question_heard", "keep_question_answered", "keep_answer_confirmed")

IN_TALK = (
    _agreement("agreed_by_key", "keep", ("yes external key",), *_WHOLE,
               steps=(ASKS, Step(_QUESTION, 0.4, "press", "1"), _END)),
    _agreement("agreed_aloud", "keep", ("yes internal aloud",), *_WHOLE,
               steps=(ASKS, _SPEAKS, _SAID_YES, _END)),
    # The external party sends a tone and does not speak: the colleague's yes does not count.
    _agreement("nobody_is_heard_to_answer", "keep", ("none",), *_UNHEARD, *_UNHEARD, "keep_question_answered",
               "keep_answer_confirmed",
               steps=(ASKS, _SAID_YES, Step(f"{_QUESTION} 2", 1.0, "callee_presses", "1"), _END)),
    _agreement("heard_when_asked_once_more", "keep", ("yes internal aloud",), *_UNHEARD, *_WHOLE,
               steps=(ASKS, _SAID_YES, Step(f"{_QUESTION} 2", 0.3, "speak"),
                      Step(f"{_QUESTION} 2", 2.0, "callee_presses", "1"), _END)),
    _agreement("not_agreed", "keep", ("no external key",), *_WHOLE,
               steps=(ASKS, Step(_QUESTION, 0.4, "press", "2"), _END)),
    _agreement("a_key_in_the_question", "keep", ("no internal aloud",), *_WHOLE,
               steps=(ASKS, Step("plays keep_question", 0.4, "press", "1"),
                      Step(_QUESTION, 0.4, "callee_presses", "2"), _END)),
    _agreement("a_star_in_the_question", "keep", ("yes external key",), *_WHOLE,
               steps=(ASKS, Step("plays keep_question", 0.3, "press", "*"),
                      Step("plays keep_question", 0.6, "callee_presses", "*"),
                      Step(_QUESTION, 0.4, "press", "1"), _END)),
    _agreement("a_no_in_the_question", "keep", ("no external key",), "keep_question_asked",
               "keep_question_answered",
               "keep_answer_confirmed",
               steps=(ASKS, Step("plays keep_question", 0.4, "press", "2"), _END)),
    _agreement("a_colleague_s_no_in_the_question", "keep", ("no internal aloud",), "keep_question_asked",
               "keep_question_answered", "keep_answer_confirmed",
               steps=(ASKS, Step("plays keep_question", 0.4, "callee_presses", "2"), _END)),
    _agreement("a_no_while_a_yes_is_told", "keep", ("yes external key", "no external key"),
               "keep_question_asked",
               "keep_question_heard", "keep_question_answered", "keep_question_answered",
               "keep_answer_confirmed",
               steps=(ASKS, Step(_QUESTION, 0.4, "press", "1"), Step("plays keep_yes", 0.4, "press", "2"),
                      _END)),
    _agreement("a_burst_of_keys_ends_in_a_no", "keep", ("yes external key", "no external key"),
               "keep_question_asked",
               "keep_question_heard", "keep_question_answered", "keep_question_answered",
               "keep_answer_confirmed",
               steps=(ASKS, Step(_QUESTION, 0.4, "press", "1212"), _END)),
    _agreement("nobody_answers_the_question", "keep", ("none",), *_WHOLE, steps=(ASKS, _END)),
    _agreement("asked_again", "keep", ("yes external key", "no external key"), *_WHOLE, *_WHOLE,
               steps=(ASKS, Step(_QUESTION, 0.4, "press", "1"),
                      Step("mark keep_answer_confirmed", 0.5, "callee_presses", "*5"),
                      Step(f"{_QUESTION} 2", 0.4, "press", "2"), Step("mark keep_answer_confirmed 2", 0.4,
                                                                   "hang_up"))),
    _agreement("asked_by_the_line", "keep_at_start", ("yes external key",), *_WHOLE,
               steps=(Step(_QUESTION, 0.4, "press", "1"), _END)),
    _agreement("asked_in_their_own_words", "own_words", ("yes internal own_words",), "keep_question_asked",
               "keep_question_answered", "keep_answer_confirmed",
               steps=(ASKS, Step("mark keep_question_asked", 1.5, "speak"),
                      Step("mark keep_question_asked", 3.5, "callee_presses", "1"), _END)),
    _agreement("nobody_is_heard_in_their_own_words", "own_words", ("none",), "keep_question_asked",
               "keep_answer_unheard",
               "keep_question_asked", "keep_answer_unheard", "keep_question_answered",
               "keep_answer_confirmed",
               steps=(ASKS, Step("mark keep_question_asked", 2.5, "callee_presses", "1"),
                      Step("mark keep_question_asked 2", 2.5, "callee_presses", "1"), _END)),
    _agreement("hold_in_the_question", "keep", (), "keep_question_asked", "keep_question_interrupted",
               steps=(ASKS, Step("plays keep_question", 0.3, "callee_holds"),
                      Step("plays keep_question", 2.0, "callee_unholds"),
                      Step("plays keep_question", 2.5, "press", "1"),
                      Step("plays keep_question", 3.5, "hang_up"))),
    _agreement("the_external_party_dials_the_code", "keep", (),
               steps=(Step("bridged", 0.5, "press", "*5"), Step("bridged", 2.0, "hang_up"))),
    Scenario("not_agreed_and_destroyed",
             Expected("not_recorded", "not_kept", markers=(*_START, "bridged", *_WHOLE, "hangup"),
                      sound=False, answers=("no external key",)),
             line="keep_or_destroy", steps=(ASKS, Step(_QUESTION, 0.4, "press", "2"), _END)),
    # Nothing is asked during a pause, and a pause before the answer breaks the question off.
    _agreement("asked_while_paused_and_paused_while_asked", "keep", (), "paused", "resumed",
               "keep_question_asked",
               "keep_question_heard", "paused", "keep_question_interrupted", once=("keep_question_asked",),
               steps=(Step("bridged", 0.5, "callee_presses", "*6"),
                      Step("mark paused", 0.5, "callee_presses", "*5"),
                      Step("mark paused", 1.5, "callee_presses", "*7"),
                      Step("mark resumed", 0.5, "callee_presses", "*5"),
                      Step(_QUESTION, 0.4, "callee_presses", "*6"), Step("mark paused 2", 0.3, "press", "1"),
                      Step("mark paused 2", 0.6, "callee_presses", "1"),
                      Step("mark paused 2", 1.2, "hang_up"))),
    _agreement("hangs_up_in_the_question", "keep", (), "keep_question_asked", "keep_question_interrupted",
               steps=(ASKS, Step("plays keep_question", 0.4, "hang_up"))),
)  # fmt: skip
"""Questions during the conversation."""

ROUGH_IN_TALK = (
    _agreement("daemon_killed_before_the_answer", "keep", ("yes internal aloud",), "keep_question_asked",
               "keep_question_heard", "unobserved_from", *_WHOLE,
               steps=(ASKS, _SPEAKS, Step(_QUESTION, 1.0, "kill_daemon"),
                      Step(_QUESTION, 1.5, "callee_presses", "1"), Step(_QUESTION, 2.0, "start_daemon"),
                      Step("mark unobserved_to", 0.5, "callee_presses", "*5"),
                      Step(f"{_QUESTION} 2", 0.3, "speak"),
                      Step(f"{_QUESTION} 2", 2.0, "callee_presses", "1"),
                      _END)),
    _agreement("daemon_stalled_while_it_is_asked", "keep", ("yes external key",), "keep_question_asked",
               *_WHOLE,
               steps=(ASKS, Step("plays keep_question", 0.5, "stall_daemon"),
                      Step("plays keep_question", 1.0, "press", "1"),
                      Step("plays keep_question", 6.0, "wake_daemon"),
                      Step("plays keep_question", 7.0, "callee_presses", "*5"),
                      Step("plays keep_question 2", 2.0, "press", "1"), _END)),
    _agreement("daemon_killed_while_it_is_asked", "keep", ("yes external key",), "keep_question_asked",
               "unobserved_from", *_WHOLE,
               steps=(ASKS, Step("plays keep_question", 0.5, "kill_daemon"),
                      Step("plays keep_question", 1.8, "press", "1"),
                      Step("plays keep_question", 2.2, "start_daemon"),
                      Step("mark unobserved_to", 0.5, "callee_presses", "*5"),
                      Step(_QUESTION, 0.4, "press", "1"), _END)),
)  # fmt: skip
"""The daemon dies or stalls during a question: no answer appears, the call continues, and the question can be
repeated."""
