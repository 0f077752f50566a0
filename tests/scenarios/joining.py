"""Scenarios of transfers: one take, with the participants and their times."""

from __future__ import annotations

from tests.scenarios.definitions import Expected, Line, Scenario, Step

_WHOLE = ("recording_started", "announcement_finished", "bridged")
_NOTICE = ("unbridged", "bridged", "transfer_notice_started", "transfer_notice_finished")
_UNTOLD = ("transfer_notice_started", "transfer_notice_finished", "transfer_notice_interrupted")
_END = Step("mark bridged 2", 1.0, "hang_up")


def _transfer(after: float = 0.8, to: str = "other", number: int = 1) -> Step:
    return Step(f"mark bridged {number}" if number > 1 else "bridged", after, "transfer", to)


TRANSFERS = (
    Scenario("transferred", Expected("recorded", markers=(*_WHOLE, "unbridged", "bridged", "hangup"),
                                     absent=_UNTOLD, there=("+line", "-line", "+other", "-other")),
             steps=(_transfer(), _END)),
    Scenario("transferred_and_told", Expected("recorded", markers=(*_WHOLE, *_NOTICE, "hangup"),
                                              absent=("transfer_notice_interrupted",)),
             line="joining_alone", steps=(_transfer(), Step("mark transfer_notice_finished", 0.5,
                                                            "hang_up"))),
    Scenario("transferred_and_told_together", Expected("recorded", markers=(*_WHOLE, *_NOTICE, "hangup"),
                                                       absent=("transfer_notice_interrupted",)),
             line="joining_both", steps=(_transfer(), Step("mark transfer_notice_finished", 0.5, "hang_up"))),
    Scenario("transferred_and_back", Expected("recorded", markers=(*_WHOLE, *_NOTICE, "unbridged", "bridged",
                                                                   "unbridged", "bridged", "hangup"),
                                              absent=("transfer_notice_interrupted",),
                                              once=("transfer_notice_finished",)),
             line="joining_alone",
             steps=(_transfer(), Step("mark transfer_notice_finished", 0.3, "transfer", "joining_alone"),
                    _transfer(0.5, number=3), Step("mark bridged 4", 2.5, "hang_up"))),
    Scenario("transferred_on_while_told", Expected("recorded", markers=(*_WHOLE, "transfer_notice_started",
                                                                        "transfer_notice_interrupted",
                                                                        "bridged",
                                                                        "transfer_notice_started",
                                                                        "transfer_notice_finished")),
             line="joining_alone",
             steps=(_transfer(), Step("mark transfer_notice_started", 0.3, "transfer", "line"),
                    Step("mark transfer_notice_finished", 0.3, "hang_up"))),
    Scenario("holds_while_told", Expected("recorded", markers=(*_WHOLE, "transfer_notice_started",
                                                               "transfer_notice_interrupted",
                                                               "transfer_notice_started",
                                                               "transfer_notice_finished")),
             line="joining_alone",
             steps=(_transfer(), Step("mark transfer_notice_started", 0.3, "callee_holds"),
                    Step("mark transfer_notice_started", 2.0, "callee_unholds"),
                    Step("mark transfer_notice_finished", 0.3, "hang_up"))),
    Scenario("leaves_while_told", Expected("recorded", markers=(*_WHOLE, "transfer_notice_started",
                                                                "transfer_notice_interrupted")),
             line="joining_alone", steps=(_transfer(), Step("mark transfer_notice_started", 0.3,
                                                            "callee_hangs_up"))),
    Scenario("transferred_externally", Expected("recorded", recorded=False,
                                                markers=(*_WHOLE, "unbridged", "bridged",
                                                         "transferred_externally", "recording_stopped"),
                                                absent=(*_UNTOLD, "hangup")),
             line="joining_alone", steps=(_transfer(to="external"), _END)),
    Scenario("forwarded_externally", Expected("not_recorded", "forwarded_externally", recorded=False,
                                              sound=False,
                                              markers=(*_WHOLE, "transferred_externally", "hangup"),
                                              absent=_UNTOLD),
             line="forwarded", steps=(Step("mark transferred_externally", 0.5, "hang_up"),)),
    Scenario("the_colleague_holds", Expected("recorded", markers=(*_WHOLE, "internal_hold",
                                                                  "internal_unhold", "hangup"),
                                             absent=("hold", "unhold")),
             steps=(Step("bridged", 0.5, "callee_holds"), Step("bridged", 1.2, "callee_unholds"),
                    Step("bridged", 2.0, "hang_up"))),
    Scenario("held_and_transferred", Expected("recorded", markers=(*_WHOLE, "internal_hold", "unbridged",
                                                                   "bridged", "hangup")),
             steps=(Step("bridged", 0.5, "callee_holds"), _transfer(1.0), _END)),
)  # fmt: skip

_CALLER_AGREES = Step("mark question_finished", 0.3, "press", "1")
_IN = (
    "recording_started",
    "announcement_finished",
    "bridged",
    "unbridged",
    "bridged",
    "transfer_notice_started",
)
# Transferred while the caller could still refuse.
_OUT = (*_IN[:-1], "question_answered", _IN[-1])
_OVER = "recording_stopped"


def _consent(name: str, answer: str, *steps: Step, line: Line = "joining_opt_in", times: int = 1
           ) -> Scenario:  # fmt: skip
    """The transfer target is asked: recording continues by the answer."""
    goes_on = answer in ("yes", "silent")
    opt_in = line == "joining_opt_in"
    markers = (*(_IN if opt_in else _OUT), *(("transfer_question_finished",) * times))
    markers += ("transfer_question_answered", "hangup") if goes_on else ("transfer_question_refused", _OVER)
    last = "transfer_question_answered" if goes_on else "transfer_question_refused"
    absent = ("transfer_question_refused",) if goes_on else ("transfer_question_answered", "hangup")
    expected = Expected("recorded", recorded=goes_on, markers=markers, once=(last,),
                        absent=("transfer_notice_finished", *absent),
                        answers=("yes" if opt_in else "none",))  # fmt: skip
    first = (_CALLER_AGREES,) if opt_in else ()
    all_steps = (*first, _transfer(), *steps, Step(f"mark {last}", 0.6, "hang_up"))
    return Scenario(name, expected, line=line, steps=all_steps)


JOINER_ASKED = (
    _consent("joiner_asked_yes", "yes", Step("mark transfer_question_finished", 0.3, "callee_presses", "1")),
    _consent("joiner_asked_yes_too_early", "none", Step("mark transfer_notice_started", 0.3, "callee_presses",
                                                      "1")),
    _consent("joiner_asked_no", "no", Step("mark transfer_question_finished", 0.3, "callee_presses", "2")),
    _consent("joiner_asked_no_at_once", "no",
             Step("mark transfer_notice_started", 0.3, "callee_presses", "2"),
           times=0),
    _consent("joiner_asked_silence", "none"),
    _consent("joiner_asked_wrong_key_then_yes", "yes", Step("mark transfer_question_finished", 0.3,
                                                          "callee_presses", "7"),
           Step("mark transfer_question_finished 2", 0.3, "callee_presses", "1"), times=2),
    _consent("joiner_asked_wrong_keys", "unclear", Step("mark transfer_question_finished", 0.3,
                                                      "callee_presses", "7"),
           Step("mark transfer_question_finished 2", 0.3, "callee_presses", "#"), times=2),
    _consent("joiner_asked_the_caller_presses", "none", Step("mark transfer_question_finished", 0.3, "press",
                                                           "1")),
    _consent("joiner_asked_dials_a_code", "yes", Step("mark transfer_notice_started", 0.3, "callee_presses",
                                                    "*5"),
           Step("mark transfer_question_finished", 0.3, "callee_presses", "1")),
    _consent("joiner_asked_and_transfers", "left", Step("mark transfer_notice_started", 0.3, "transfer",
                                                      "line"),
           times=0),
    Scenario("joiner_asked_hangs_up",
             Expected("recorded", markers=_IN, absent=("transfer_question_finished",
                                                     "transfer_question_answered"), answers=("yes",)),
             line="joining_opt_in",
             steps=(_CALLER_AGREES, _transfer(), Step("mark transfer_notice_started", 0.3,
                                                      "callee_hangs_up"))),
    Scenario("joiner_asked_holds",
             Expected("recorded", answers=("yes",),
                      markers=(*_IN, "transfer_notice_interrupted", "transfer_notice_started",
                               "transfer_question_finished", "transfer_question_answered")),
             line="joining_opt_in",
             steps=(_CALLER_AGREES, _transfer(), Step("mark transfer_notice_started", 0.3, "callee_holds"),
                    Step("mark transfer_notice_started", 1.0, "callee_unholds"),
                    Step("mark transfer_question_finished", 0.3, "callee_presses", "1"),
                    Step("mark transfer_question_answered", 0.3, "hang_up"))),
    _consent("joiner_may_refuse_silence", "silent", line="joining_opt_out"),
    _consent("joiner_may_refuse_no", "no",
             Step("mark transfer_question_finished", 0.3, "callee_presses", "2"),
           line="joining_opt_out"),
    _consent("joiner_may_refuse_at_once", "no", Step("mark transfer_notice_started", 0.3, "callee_presses",
                                                   "2"),
           line="joining_opt_out", times=0),
    _consent("joiner_may_refuse_wrong_keys", "unclear", Step("mark transfer_question_finished", 0.3,
                                                           "callee_presses", "1"),
           Step("mark transfer_question_finished 2", 0.3, "callee_presses", "5"), line="joining_opt_out",
           times=2),
)  # fmt: skip
"""A line that asks transfer targets: alone in opt-in, together with the caller in opt-out."""

ROUGH_JOINER_ASKED = (
    Scenario("daemon_killed_while_who_joined_is_asked",
             Expected("recorded", recorded=False, answers=("yes",),
                      markers=(*_IN, "transfer_question_finished", "unobserved_from",
                               "transfer_question_refused", _OVER),
                      absent=("transfer_question_answered", "hangup"), once=("transfer_notice_started",)),
             line="joining_opt_in",
             steps=(_CALLER_AGREES, _transfer(), Step("mark transfer_question_finished", 0.2, "kill_daemon"),
                    Step("mark transfer_question_finished", 0.6, "callee_presses", "1"),
                    Step("mark transfer_question_finished", 1.0, "start_daemon"),
                    Step("mark transfer_question_refused", 0.6, "hang_up"))),
    Scenario("daemon_killed_while_who_joined_may_refuse",
             Expected("recorded", recorded=False, answers=("none",),
                      markers=(*_OUT, "transfer_question_finished", "unobserved_from",
                               "transfer_notice_interrupted", "transfer_notice_started",
                               "transfer_question_finished", "transfer_question_refused", _OVER),
                               absent=("transfer_question_answered", "hangup")),
             line="joining_opt_out",
             steps=(_transfer(), Step("mark transfer_question_finished", 0.2, "kill_daemon"),
                    Step("mark transfer_question_finished", 1.0, "start_daemon"),
                    Step("mark transfer_question_finished 2", 0.3, "callee_presses", "2"),
                    Step("mark transfer_question_refused", 0.6, "hang_up"))),
)  # fmt: skip
"""The daemon dies while the question is open: nothing counts as a yes."""

ROUGH_JOINING = (
    # Its start is seen twice: the next daemon sees it again, because it continues.
    Scenario("held_while_the_daemon_is_away", Expected("recorded", markers=(*_WHOLE, "internal_hold",
                                                                            "unobserved_from",
                                                                            "internal_hold",
                                                                            "internal_unhold", "hangup"),
                                                       absent=("hold", "unhold")),
             steps=(Step("bridged", 0.5, "callee_holds"), Step("mark internal_hold", 0.3, "kill_daemon"),
                    Step("mark internal_hold", 0.8, "start_daemon"),
                    Step("mark internal_hold 2", 0.5, "callee_unholds"),
                    Step("mark internal_unhold", 0.7, "hang_up"))),
    Scenario("transferred_while_the_daemon_is_away",
             Expected("recorded", markers=(*_WHOLE, "unbridged", "bridged", "transfer_notice_started",
                                           "transfer_notice_finished"),
                      absent=("transfer_notice_interrupted",), once=("transfer_notice_finished",)),
             line="joining_alone",
             steps=(Step("bridged", 0.5, "kill_daemon"), _transfer(0.8), Step("bridged", 2.5, "start_daemon"),
                    Step("mark transfer_notice_finished", 0.5, "hang_up"))),
    Scenario("daemon_killed_while_who_joined_is_told",
             Expected("recorded", markers=(*_WHOLE, "bridged", "transfer_notice_started",
                                           "transfer_notice_interrupted"),
                      absent=("transfer_notice_finished",), once=("transfer_notice_started",
                                                                  "transfer_notice_interrupted")),
             line="joining_alone",
             steps=(_transfer(), Step("mark transfer_notice_started", 0.3, "kill_daemon"),
                    Step("mark transfer_notice_started", 2.5, "start_daemon"),
                    Step("mark transfer_notice_started", 5.0, "hang_up"))),
)  # fmt: skip
"""The daemon dies in a transfer: afterwards the markers have the new participant, and nobody is told
twice."""
