"""The conversation of two connected parties, until one of them hangs up."""

from __future__ import annotations

from demo.practice.session import PracticeCall

CALL_TIMEOUT = 60.0
"""Seconds that a call rings unless ``call_timeout`` says otherwise."""


def talk(session: PracticeCall) -> None:
    """Stay until one of them hangs up, or the external leg is called away."""
    pace = session.switch.pace
    end = None if session.party.talks is None else pace.seconds() + session.party.talks
    while True:
        left = None if end is None else end - pace.seconds()
        session.until(lambda: bool(session.tasks) or session.callee_gone is not None, left)
        if not session.ready or session.callee_gone is not None:
            return
        if end is not None and pace.seconds() >= end:
            session.hang_up()
            return
        session.run_tasks()  # late commands are started on the bridged call, as in the real switch
