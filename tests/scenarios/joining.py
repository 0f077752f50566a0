"""Scenarios in which somebody else comes to the other end: one take, and who was there when."""

from __future__ import annotations

from tests.scenarios.definitions import Expected, Scenario, Step

_WHOLE = ("recording_started", "announcement_finished", "bridged")
_TOLD = ("unbridged", "bridged", "joined_telling", "joined_told")
_UNTOLD = ("joined_telling", "joined_told", "joined_untold")
_END = Step("mark bridged 2", 1.0, "hang_up")


def _transfer(after: float = 0.8, to: str = "other", number: int = 1) -> Step:
    return Step(f"mark bridged {number}" if number > 1 else "bridged", after, "transfer", to)


JOINING = (
    Scenario("transferred", Expected("recorded", marks=(*_WHOLE, "unbridged", "bridged", "hangup"),
                                     absent=_UNTOLD, there=("+line", "-line", "+other", "-other")),
             steps=(_transfer(), _END)),
    Scenario("transferred_and_told", Expected("recorded", marks=(*_WHOLE, *_TOLD, "hangup"),
                                              absent=("joined_untold",)),
             line="joining_alone", steps=(_transfer(), Step("mark joined_told", 0.5, "hang_up"))),
    Scenario("transferred_and_told_together", Expected("recorded", marks=(*_WHOLE, *_TOLD, "hangup"),
                                                       absent=("joined_untold",)),
             line="joining_both", steps=(_transfer(), Step("mark joined_told", 0.5, "hang_up"))),
    Scenario("transferred_and_back", Expected("recorded", marks=(*_WHOLE, *_TOLD, "unbridged", "bridged",
                                                                 "unbridged", "bridged", "hangup"),
                                              absent=("joined_untold",), once=("joined_told",)),
             line="joining_alone",
             steps=(_transfer(), Step("mark joined_told", 0.3, "transfer", "joining_alone"),
                    _transfer(0.5, number=3), Step("mark bridged 4", 2.5, "hang_up"))),
    Scenario("transferred_on_while_told", Expected("recorded", marks=(*_WHOLE, "joined_telling",
                                                                      "joined_untold", "bridged",
                                                                      "joined_telling", "joined_told")),
             line="joining_alone",
             steps=(_transfer(), Step("mark joined_telling", 0.3, "transfer", "line"),
                    Step("mark joined_told", 0.3, "hang_up"))),
    Scenario("holds_while_told", Expected("recorded", marks=(*_WHOLE, "joined_telling", "joined_untold",
                                                             "joined_telling", "joined_told")),
             line="joining_alone",
             steps=(_transfer(), Step("mark joined_telling", 0.3, "callee_holds"),
                    Step("mark joined_telling", 2.0, "callee_unholds"),
                    Step("mark joined_told", 0.3, "hang_up"))),
    Scenario("leaves_while_told", Expected("recorded", marks=(*_WHOLE, "joined_telling", "joined_untold")),
             line="joining_alone", steps=(_transfer(), Step("mark joined_telling", 0.3, "callee_hangs_up"))),
    Scenario("transferred_outside", Expected("recorded", recorded=False,
                                             marks=(*_WHOLE, "unbridged", "bridged", "transferred_outside",
                                                    "recording_stopped"),
                                             absent=(*_UNTOLD, "hangup")),
             line="joining_alone", steps=(_transfer(to="outside"), _END)),
    Scenario("forwarded_outside", Expected("not_recorded", "forwarded_outside", recorded=False, sound=False,
                                           marks=(*_WHOLE, "transferred_outside", "hangup"),
                                           absent=_UNTOLD),
             line="forwarded", steps=(Step("mark transferred_outside", 0.5, "hang_up"),)),
    Scenario("the_colleague_holds", Expected("recorded", marks=(*_WHOLE, "colleague_hold",
                                                                "colleague_unhold", "hangup"),
                                             absent=("hold", "unhold")),
             steps=(Step("bridged", 0.5, "callee_holds"), Step("bridged", 1.2, "callee_unholds"),
                    Step("bridged", 2.0, "hang_up"))),
    Scenario("held_and_transferred", Expected("recorded", marks=(*_WHOLE, "colleague_hold", "unbridged",
                                                                 "bridged", "hangup")),
             steps=(Step("bridged", 0.5, "callee_holds"), _transfer(1.0), _END)),
)  # fmt: skip

ROUGH_JOINING = (
    Scenario("transferred_while_the_daemon_is_away",
             Expected("recorded", marks=(*_WHOLE, "unbridged", "bridged", "joined_telling", "joined_told"),
                      absent=("joined_untold",), once=("joined_told",)),
             line="joining_alone",
             steps=(Step("bridged", 0.5, "kill_daemon"), _transfer(0.8), Step("bridged", 2.5, "start_daemon"),
                    Step("mark joined_told", 0.5, "hang_up"))),
    Scenario("daemon_killed_while_who_joined_is_told",
             Expected("recorded", marks=(*_WHOLE, "bridged", "joined_telling", "joined_untold"),
                      absent=("joined_told",), once=("joined_telling", "joined_untold")),
             line="joining_alone",
             steps=(_transfer(), Step("mark joined_telling", 0.3, "kill_daemon"),
                    Step("mark joined_telling", 2.5, "start_daemon"),
                    Step("mark joined_telling", 5.0, "hang_up"))),
)  # fmt: skip
"""The daemon dies in a transfer: who came is in the marks when it is back, and nobody is told twice."""
