"""Scenarios in which a colleague dials a code: pause, resume, bookmark, stop and delete."""

from __future__ import annotations

from tests.scenarios.definitions import Expected, Scenario, Step

_START = ("recording_started", "announcement_started", "announcement_finished", "bridged")
_CODE_MARKERS = ("paused", "resumed", "moment_marked", "deletion_question_asked", "deleted")


def _recorded(*markers: str, absent: tuple[str, ...] = ()) -> Expected:
    return Expected("recorded", markers=(*_START, *markers, "hangup"), absent=absent)


_PAUSES = Step("bridged", 0.5, "callee_presses", "*6")
_DELETES = Step("bridged", 0.5, "callee_presses", "*9")

CODES = (
    Scenario("paused_and_resumed", _recorded("paused", "resumed"),
             steps=(_PAUSES, Step("mark paused", 1.5, "callee_presses", "*7"),
                    Step("mark resumed", 1.0, "hang_up"))),
    Scenario("paused_to_the_end", _recorded("paused", absent=("resumed",)),
             steps=(_PAUSES, Step("mark paused", 1.0, "hang_up"))),
    Scenario("paused_again_and_transferred", _recorded("paused", "paused", "bridged", "resumed"),
             steps=(_PAUSES, Step("mark paused", 0.7, "callee_presses", "*6"),
                    Step("mark paused 2", 0.7, "transfer"),
                    Step("mark bridged 2", 0.7, "callee_presses", "*7"),
                    Step("mark resumed", 1.0, "hang_up"))),
    Scenario("a_note", _recorded("moment_marked", "moment_marked"),
             steps=(Step("bridged", 0.5, "callee_presses", "*8"),
                    Step("mark moment_marked", 0.7, "callee_presses", "*8"),
                    Step("mark moment_marked 2", 0.7, "hang_up"))),
    Scenario("resumed_without_a_pause", _recorded(absent=_CODE_MARKERS),
             steps=(Step("bridged", 0.5, "callee_presses", "*7"), Step("bridged", 2.0, "hang_up"))),
    Scenario("the_external_party_dials_codes", _recorded(absent=_CODE_MARKERS), line="deletable",
             steps=(Step("bridged", 0.5, "press", "*6*7*8*9"), Step("bridged", 4.5, "hang_up"))),
    Scenario("deleted",
             Expected("not_recorded", "deleted", markers=(*_START, "deletion_question_asked", "deleted",
                                                          "hangup"),
                      state="unrecorded", recorded=False, sound=False),
             line="deletable",
             steps=(_DELETES, Step("mark deletion_question_asked", 2.5, "callee_presses", "1"),
                    Step("mark deleted", 2.0, "hang_up"))),
    Scenario("not_deleted_by_another_key", _recorded("deletion_question_asked", "deletion_cancelled",
                                                     absent=("deleted",)),
             line="deletable",
             steps=(_DELETES, Step("mark deletion_question_asked", 2.5, "callee_presses", "2"),
                    Step("mark deletion_cancelled", 0.5, "callee_presses", "1"),
                    Step("mark deletion_cancelled", 1.5, "hang_up"))),
    Scenario("not_deleted_by_the_external_party",
             _recorded("deletion_question_asked", "deletion_cancelled", absent=("deleted",)),
             line="deletable",
             steps=(_DELETES, Step("mark deletion_question_asked", 2.5, "press", "1"),
                    Step("mark deletion_question_asked", 3.5, "hang_up"))),
    Scenario("not_deletable", _recorded(absent=_CODE_MARKERS),
             steps=(_DELETES, Step("bridged", 2.5, "hang_up"))),
)  # fmt: skip

ROUGH_CODES = (
    Scenario("paused_while_the_daemon_is_dead", _recorded("unobserved_from", "paused", "resumed"),
             steps=(Step("bridged", 0.3, "kill_daemon"), Step("bridged", 0.8, "callee_presses", "*6"),
                    Step("bridged", 1.8, "start_daemon"), Step("mark paused", 1.0, "callee_presses", "*7"),
                    Step("mark resumed", 1.0, "hang_up"))),
    Scenario("resumed_while_the_daemon_is_dead", _recorded("paused", "unobserved_from", "resumed"),
             steps=(_PAUSES, Step("mark paused", 0.5, "kill_daemon"),
                    Step("mark paused", 1.0, "callee_presses", "*7"),
                    Step("mark paused", 2.0, "start_daemon"), Step("mark resumed", 1.0, "hang_up"))),
    Scenario("deleted_and_the_daemon_killed",
             Expected("not_recorded", "deleted", markers=(*_START, "deletion_question_asked", "deleted"),
                      state="unrecorded", recorded=False, sound=False),
             line="deletable",
             steps=(_DELETES, Step("mark deletion_question_asked", 2.5, "callee_presses", "1"),
                    Step("mark deleted", 0.0, "kill_daemon"), Step("mark deleted", 1.0, "start_daemon"),
                    Step("mark deleted", 3.0, "hang_up"))),
)  # fmt: skip
