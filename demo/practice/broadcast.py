"""``uuid_broadcast``: runs an application on a live call's legs, each after its own delay."""

from __future__ import annotations

import shlex

from demo.practice.core import SwitchCore, Task
from demo.practice.session import PracticeCall

INSIDE = 0.1
"""Seconds from the command to its start on the internal leg, and …"""

OUTSIDE = 0.14
"""… on the external one (transcript: question)."""


def order(switch: SwitchCore[PracticeCall], rest: str) -> str:
    """``<uuid> <application>::<argument> both`` (or ``aleg``, ``bleg``): returns the answer.

    The answer is the same whether or not the file exists; an unquoted space cuts a path, and then nothing is
    run.
    """
    try:
        words = shlex.split(rest)
    except ValueError:  # an unbalanced quote
        words = []
    if len(words) < 2:
        return "-USAGE: <uuid> <path> [aleg|bleg|holdb|both]\n"
    uuid, what, where = words[0], words[1], words[2] if len(words) > 2 else "aleg"
    application, separator, argument = what.partition("::")
    if not separator:
        application, argument = "playback", what
    if (call := _call_of_internal_leg(switch, uuid)) is not None and where == "aleg":
        switch.later(INSIDE, lambda: call.inside.run(application, argument))
        return "+OK Message sent\n"
    session = switch.sessions.get(uuid)
    if session is None:
        return "-ERR invalid uuid\n"
    if where in {"both", "bleg"} and session.inside.leg is not None:
        switch.later(INSIDE, lambda: session.inside.run(application, argument))
    if where in {"both", "aleg"}:
        task = Task(application, argument, switch.new_uuid())
        switch.later(OUTSIDE, lambda: switch.queue(uuid, task))
    return "+OK Message sent\n"


def _call_of_internal_leg(switch: SwitchCore[PracticeCall], uuid: str) -> PracticeCall | None:
    """The call whose internal leg this is."""
    sessions = switch.sessions.values()
    return next((each for each in sessions if each.has(uuid) and each.leg.uuid != uuid), None)
