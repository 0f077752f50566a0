"""``uuid_broadcast``: an application that is run on a live call's legs, each in its own time."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from recorder.practice.listener import Task

if TYPE_CHECKING:
    from recorder.practice.switch import PracticeSwitch

INSIDE = 0.1
"""Seconds from the command to the called leg's beginning, and …"""

OUTSIDE = 0.14
"""… to the outside one's (transcript: question)."""

_SENT = "+OK Message sent\n"


def order(switch: PracticeSwitch, rest: str) -> str:
    """``<uuid> <application>::<argument> both`` (or ``aleg``, ``bleg``): the answer.

    It is the same whether or not there is such a file; a space in a path that is not quoted cuts it there,
    and then nothing is run.
    """
    try:
        words = shlex.split(rest)
    except ValueError:  # a quote without its other
        words = []
    if len(words) < 2:
        return "-USAGE: <uuid> <path> [aleg|bleg|holdb|both]\n"
    uuid, what, where = words[0], words[1], words[2] if len(words) > 2 else "aleg"
    application, separator, argument = what.partition("::")
    if not separator:
        application, argument = "playback", what
    session = switch.sessions.get(uuid)
    if session is None:
        return _to_inside(switch, uuid, application, argument)
    if where in {"both", "bleg"} and session.inside.leg is not None:
        switch.later(INSIDE, lambda: session.inside.run(application, argument))
    if where in {"both", "aleg"}:
        task = Task(application, argument, switch.new_uuid())
        switch.later(OUTSIDE, lambda: switch.queue(uuid, task))
    return _SENT


def _to_inside(switch: PracticeSwitch, uuid: str, application: str, argument: str) -> str:
    """To the called leg alone."""
    sides = (session.inside for session in switch.sessions.values())
    inside = next((side for side in sides if side.leg is not None and side.leg.uuid == uuid), None)
    if inside is None:
        return "-ERR invalid uuid\n"
    switch.later(INSIDE, lambda: inside.run(application, argument))
    return _SENT
