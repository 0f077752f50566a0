"""The ``api`` commands that ``recorder/switch/commands.py`` sends, answered as the real switch does."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

from demo.practice import broadcast, recordings, wire
from demo.practice.core import SwitchCore
from demo.practice.dialplan import expand
from demo.practice.leg import Leg
from demo.practice.session import PracticeCall

_NO_CHANNEL = "-ERR No such channel!\n"
_NO_REPLY = "-ERR no reply\n"

MODULES = frozenset(
    {
        "mod_commands", "mod_conference", "mod_console", "mod_dialplan_xml", "mod_dptools",
        "mod_event_socket", "mod_sndfile", "mod_sofia",
    }
)  # fmt: skip
"""Modules for which ``module_exists`` says yes: those whose work the practice switch does."""


class Api:
    """A dictionary from command to method; ``answer`` is the entry."""

    def __init__(self, switch: SwitchCore[PracticeCall]) -> None:
        self._switch = switch
        self._commands: dict[str, Callable[[str], str]] = {
            "status": self._status,
            "show": self._show,
            "uuid_buglist": self._bugs,
            "uuid_broadcast": lambda rest: broadcast.order(self._switch, rest),
            "uuid_break": self._break,
            "uuid_transfer": self._transfer,
            "uuid_kill": self._kill,
            "uuid_exists": lambda uuid: "true" if self._leg(uuid) else "false",
            "uuid_dump": self._dump,
            "uuid_getvar": self._get,
            "uuid_setvar": self._set,
            "uuid_answer": self._answer,
            "uuid_record": self._record,
            "uuid_displace": self._displace,
            "cond": _cond,
            "strepoch": lambda _: str(self._switch.pace.micros() // 1_000_000),
            "expand": lambda rest: self.answer(expand(rest, lambda _: "", self._call_function)),
            "global_getvar": lambda name: self._switch.dialplan.globals.get(name) or _NO_REPLY,
            "global_setvar": self._set_global,
            "module_exists": lambda name: "true" if name in MODULES else "false",
            "xml_locate": self._locate,
            "file_exists": lambda path: "true" if Path(path).exists() else "false",
            "sched_api": self._schedule,
            "sched_del": lambda what: self._deleted(what),
            "originate": self._originate,
            "conference": self._conference,
        }

    def add(self, name: str, command: Callable[[str], str]) -> None:
        """Add a command that FreeSWITCH does not have."""
        self._commands[name] = command

    def answer(self, line: str) -> str:
        """The body of the answer."""
        name, _, rest = line.partition(" ")
        command = self._commands.get(name)
        return command(rest) if command else f"-ERR {name} Command not found!\n"

    def _session(self, uuid: str) -> PracticeCall | None:
        return self._switch.sessions.get(uuid)

    def _leg(self, uuid: str) -> Leg | None:
        return next((leg for leg in self._switch.legs() if leg.uuid == uuid), None)

    def _schedule(self, rest: str) -> str:
        when, _, more = rest.partition(" ")
        group, _, command = more.partition(" ")
        if not command or not when.startswith("+") or not when[1:].isdecimal():
            return "-ERR Invalid syntax. USAGE: [+@]<time> <group_name> <command_string>[&]\n"
        number = self._switch.schedule(float(when[1:]), lambda: self.answer(command), group)
        return f"+OK Added: {number}\n"

    def _originate(self, rest: str) -> str:
        """Somebody outside is called, answers, and hears a sound, or is in an extension."""
        words = shlex.split(rest)
        is_extension = len(words) == 4 and words[2] == "XML"
        if not is_extension and (len(words) != 2 or not words[1].startswith("&playback(")):
            return "-USAGE: <call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>]\n"
        settings, _, where = words[0].removeprefix("{").partition("}")
        if not where.startswith("sofia/"):
            return "-ERR CHAN_NOT_IMPLEMENTED\n"
        if is_extension:
            variables = dict(each.split("=", 1) for each in settings.split(","))
            connect = partial(self._switch.call_into, where, words[1], words[3], variables)
            call = self._switch.ring(connect, float(variables["originate_timeout"]))
            return "-ERR NO_ANSWER\n" if call is None else f"+OK {call.leg.uuid}\n"
        self._switch.call_outside(where, Path(words[1][len("&playback(") : -1]))
        return f"+OK {self._switch.new_uuid()}\n"

    def _conference(self, rest: str) -> str:
        words = shlex.split(rest)
        conferences = self._switch.conferences
        if words in (["json_list"], ["list"]):
            if not conferences:
                return "No active conferences.\n"
            return json.dumps([each.listing() for each in conferences.values()])
        name, *command = words or [""]
        conference = conferences.get(name)
        if conference is None:
            return f"-ERR Conference {name} not found\n"
        if command == ["json_list"]:
            return json.dumps([conference.listing()])
        return str(conference.command(command))

    def _set_global(self, rest: str) -> str:
        name, _, value = rest.partition("=")
        if not name:
            return "-USAGE: <var>=<value>\n"
        self._switch.dialplan.globals[name] = value
        return "+OK"

    def _deleted(self, what: str) -> str:
        return f"+OK Deleted: {self._switch.unschedule(what)}\n"

    def _status(self, _: str) -> str:
        up = int(self._switch.pace.seconds() - self._switch.started_at)
        hours, minutes, seconds = up // 3600, up // 60 % 60, up % 60
        live = len(self._switch.legs())
        return (
            f"UP 0 years, 0 days, {hours} hours, {minutes} minutes, {seconds} seconds, 0 milliseconds, "
            "0 microseconds\nFreeSWITCH (Version practice) is ready\n"
            f"{self._switch.calls_so_far} session(s) since startup\n"
            f"{live} session(s) - peak {live}, last 5min {live} \n"
            "0 session(s) per Sec out of max 1000, peak 1, last 5min 1 \n1000 session(s) max\n"
            "min idle cpu 0.00/100.00\n"
        )

    def _show(self, rest: str) -> str:
        match rest.split():
            case ["channels", "as", "json"]:
                return self._switch.channels_json()
            case ["channels", "like", uuid, "as", "json"]:
                return self._switch.channels_json(uuid)
        return "-USAGE: show channels as json\n"

    def _break(self, uuid: str) -> str:
        """Ends what plays to a leg, at its next frame; no effect if nothing plays."""
        of = (each for each in self._switch.sessions.values() if each.has(uuid))
        session = next(of, None)
        if session is None:
            return "-ERR No Such Channel!\n"
        session.media.cut_prompt_of(self._leg(uuid))
        return "+OK\n"

    def _transfer(self, rest: str) -> str:
        uuid, extension, _dialplan, context = [*rest.split(), "", "", ""][:4]
        session = self._session(uuid)
        if session is None:
            return _NO_CHANNEL
        session.transfer(extension, context or session.leg.context)
        return "+OK\n"

    def _kill(self, rest: str) -> str:
        uuid, _, cause = rest.partition(" ")
        session = self._session(uuid)
        if session is None:
            return _NO_CHANNEL
        session.hang_up(cause or "NORMAL_CLEARING")
        return "+OK\n"

    def _bugs(self, uuid: str) -> str:
        session = self._session(uuid)
        if session is None:
            return _NO_REPLY
        bugs = "".join(
            " <media-bug>\n  <function>session_record</function>\n"
            f"  <target>{escape(str(tape.path))}</target>\n"
            "  <thread-locked>0</thread-locked>\n </media-bug>\n"
            for tape in session.media.tapes.values()
        )
        return f"<media-bugs>\n{bugs}</media-bugs>\n"

    def _dump(self, uuid: str) -> str:
        leg = self._leg(uuid)
        if leg is None:
            return _NO_CHANNEL
        headers = self._switch.lead("CHANNEL_DATA", "mod_commands.c", "uuid_dump_function")
        return wire.plain([*headers, *leg.headers(variables=True)]).decode()

    def _get(self, rest: str) -> str:
        uuid, _, name = rest.partition(" ")
        leg = self._leg(uuid)
        if leg is None:
            return _NO_CHANNEL
        return leg.get(name, self._switch.dialplan.globals) or "_undef_"

    def _set(self, rest: str) -> str:
        uuid, _, pair = rest.partition(" ")
        name, _, value = pair.partition(" ")
        leg = self._leg(uuid)
        if leg is None:
            return _NO_CHANNEL
        if value:
            leg.variables[name] = value
        else:
            leg.variables.pop(name, None)
        return "+OK\n"

    def _answer(self, uuid: str) -> str:
        session = self._session(uuid)
        if session is None:
            return "-ERROR\n"
        session.answer()
        return "+OK\n"

    def _locate(self, rest: str) -> str:
        words = rest.split()
        found = self._switch.dialplan.locate(words) if len(words) in {1, 4} else None
        return "can't find anything\n" if found is None else found

    def _call_function(self, name: str, argument: str) -> str:
        """A function within ``${…}``."""
        return self.answer(f"{name} {argument}")

    def _record(self, rest: str) -> str:
        before, brace, variables = rest.partition("{")
        words = shlex.split(before)
        session = self._session(words[0]) if words else None
        if session is None:
            return "-ERR Cannot locate session!\n"
        if len(words) < 3 or words[1] not in {"start", "stop", "mask", "unmask"}:
            return "-USAGE: <uuid> [start|stop|mask|unmask] <path> [<limit>]\n"
        if words[1] == "start":
            success = recordings.start(session, Path(words[2]), brace + variables)
            return "+OK Success\n" if success else "-ERR Cannot record session!\n"
        if words[1] == "stop":
            success = recordings.stop(session, words[2])
            return "+OK Success\n" if success else "-ERR Cannot stop record session!\n"
        success = recordings.mask(session, words[2], words[1] == "mask")
        return "+OK Success\n" if success else f"-ERR Cannot {words[1]} recording session!\n"

    def _displace(self, rest: str) -> str:
        """A tone mixed into what a leg hears. Nobody listens here: only the list of tones is kept."""
        words = rest.split()
        of = (each for each in self._switch.sessions.values() if words and each.has(words[0]))
        session = next(of, None)
        if session is None:
            return "-ERR Cannot locate session!\n"
        tones, (_, order, tone, *_more) = session.media.tones, [*words, "", ""]
        if order == "start" and tone not in tones:
            tones.append(tone)
            return "+OK Success\n"
        if order == "stop" and tone in tones:
            tones.remove(tone)
            return "+OK Success\n"
        return f"-ERR Cannot {'displace' if order == 'start' else 'stop displace'} session!\n"


def _cond(rest: str) -> str:
    """``<value> == <value> ? <true> : <false>``, the part of ``cond`` that is used."""
    test, _, choice = rest.partition(" ? ")
    left, _, right = test.partition(" == ")
    true, _, false = choice.partition(" : ")
    return true if left == right else false
