"""Faults of a switch's dialplan, and the doctor's finding for each."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CONF = Path(__file__).parents[2] / "freeswitch_conf"
ACCORD = "dialplan/accord.xml"
ENTRY = "dialplan/public/00_accord.xml"
CALLEE = "dialplan/accord_callee.xml"
WAY = "dialplan/outbound/10_accord.xml"


@dataclass(frozen=True, slots=True)
class DialplanFault:
    """``change`` is applied to the text of ``file``; ``says`` is part of the expected finding."""

    name: str
    file: str
    change: Callable[[str], str]
    says: str


def remove_matches(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, "", text, flags=re.DOTALL)


def instead(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


def extension(name: str) -> Callable[[str], str]:
    return remove_matches(rf'<extension name="{name}"[^>]*>.*?</extension>')


def replace_in_extension(name: str, old: str, new: str = "") -> Callable[[str], str]:
    """Replace something in one extension only."""

    def change(text: str) -> str:
        found = re.search(rf'<extension name="{name}"[^>]*>.*?</extension>', text, re.DOTALL)
        assert found is not None, name
        assert old in found[0], (name, old)
        return text.replace(found[0], found[0].replace(old, new))

    return change


STOP = '<action application="stop_record_session" data="${accord_recorded}"/>'
GUARD = '<action application="execute_extension" data="accord_after_${accord_state} XML accord"/>'
BOUND = '<action application="sched_transfer" data="+$${accord_wait} accord_timeout XML accord"/>'
UNDO = '<action application="set" data="accord_done=${sched_del(${accord_bound})}"/>'

FAULTS = (
    DialplanFault("no guard", ENTRY, instead(GUARD, ""), "has no guard after its socket"),
    DialplanFault(
        "something before the guard",
        ENTRY,
        instead(GUARD, f'<action application="sleep" data="1"/>{GUARD}'),
        "has no guard after its socket",
    ),
    DialplanFault(
        "keys of its own",
        "dialplan/public/90_route.xml",
        instead(
            '<action application="bridge"',
            '<action application="bind_meta_app" data="4 b s att_xfer::user/2"/><action application="bridge"',
        ),
        "binds * (bind_meta_app)",
    ),
    DialplanFault(
        "the sound goes past the switch",
        "dialplan/public/90_route.xml",
        instead('application="bridge" data="', 'application="bridge" data="{bypass_media_after_bridge=true}'),
        "has bypass_media_after_bridge in a dial string",
    ),
    DialplanFault(
        "a fifo",
        "dialplan/public/90_route.xml",
        instead(
            '<action application="bridge"',
            '<action application="fifo" data="calls out nowait"/><action application="bridge"',
        ),
        "takes calls from a fifo, which hangs up",
    ),
    DialplanFault("no bound", ENTRY, instead(BOUND, ""), "has no bound before its socket"),
    DialplanFault("a long bound", ENTRY, instead("+$${accord_wait}", "+60"), "lets a call wait 60 s"),
    DialplanFault(
        "no resume", ENTRY, instead('data="socket_resume=true"', 'data="a=b"'), "does not set socket_resume"
    ),
    DialplanFault(
        "calls end", ENTRY, instead('name="accord" continue="true"', 'name="accord"'), "calls end there"
    ),
    DialplanFault("sync", ENTRY, instead("async full", "full"), "is not `async full`"),
    DialplanFault(
        "another daemon", ENTRY, instead("$${accord_daemon}", "127.0.0.1:1"), "sends calls to 127.0.0.1:1"
    ),
    DialplanFault(
        "no code to pause",
        ACCORD,
        instead("execute_extension,accord_pause_", "execute_extension,other_"),
        "has no code to pause its recording",
    ),
    DialplanFault(
        "a pause that masks nothing", ACCORD, instead(" mask '", " unmask '"), "does not mask the recording"
    ),
    DialplanFault(
        "no entry",
        ENTRY,
        remove_matches(r'<extension name="accord".*?</extension>'),
        "no extension sends calls to the daemon",
    ),
    DialplanFault(
        "no timeout", ACCORD, extension("accord_timeout"), "the extension accord_timeout is missing"
    ),
    DialplanFault(
        "no catch-all", ACCORD, extension("accord_after_any"), "the extension accord_after_any is missing"
    ),
    DialplanFault(
        "the guard keeps recordings",
        ACCORD,
        replace_in_extension("accord_after_any", STOP),
        "a call left in state 'announcing' keeps its recording",
    ),
    DialplanFault(
        "the guard stops another recording",
        ACCORD,
        replace_in_extension("accord_after_any", "${accord_recorded}", "${accord_audio}"),
        "a call left in state 'failed' keeps its recording",
    ),
    DialplanFault(
        "the guard passes a state",
        ACCORD,
        instead("accord_after_(waiting|answered|passed)$", "accord_after_(waiting|passed|late)$"),
        "a call left in state 'late' keeps its recording",
    ),
    DialplanFault(
        "the bound stays",
        ACCORD,
        replace_in_extension("accord_after_announced", UNDO),
        "a call left in state 'announced' keeps its bound",
    ),
    DialplanFault(
        "a call that rings is recorded",
        ACCORD,
        replace_in_extension(
            "accord_after_announced",
            '<action application="unset" data="socket_resume"/>',
            '<action application="record_session" data="a"/>',
        ),
        "a call that is to be announced on answer is recorded before",
    ),
    DialplanFault(
        "nothing reopens", ACCORD, extension("accord_reopen"), "the extension accord_reopen is missing"
    ),
    DialplanFault(
        "opt-out waits in silence",
        ACCORD,
        extension("accord_refusable"),
        "the extension accord_refusable is missing",
    ),
    DialplanFault(
        "rings on too late",
        ACCORD,
        replace_in_extension("accord_refusable", "^announcing$", "^(announcing|announced)$"),
        "accord_refusable acts in state 'announced'",
    ),
    DialplanFault(
        "nothing rings first", ACCORD, extension("accord_pickup"), "the extension accord_pickup is missing"
    ),
    DialplanFault(
        "keys end the announcement",
        ACCORD,
        replace_in_extension("accord_begin", "playback_terminators=none", "playback_terminators=*"),
        "leaves playback_terminators",
    ),
    DialplanFault(
        "begins at any time",
        ACCORD,
        replace_in_extension("accord_begin", "^waiting$", "."),
        "accord_begin acts in state 'announced'",
    ),
    DialplanFault(
        "confirms at any time",
        ACCORD,
        replace_in_extension("accord_announced", "^announcing$", "^.*$"),
        "accord_announced acts in state 'waiting'",
    ),
    DialplanFault(
        "records after the announcement",
        ACCORD,
        replace_in_extension("accord_begin", "record_session", "log"),
        "does not record before it plays",
    ),
    DialplanFault(
        "one channel",
        ACCORD,
        replace_in_extension("accord_begin", "RECORD_STEREO=true", "RECORD_STEREO=false"),
        "does not record in two channels",
    ),
    DialplanFault(
        "an older Accord's",
        ACCORD,
        replace_in_extension("accord_begin", "RECORD_PRE_BUFFER_FRAMES=0,"),
        "accord_begin is of an older Accord, without RECORD_PRE_BUFFER_FRAMES=0",
    ),
    DialplanFault(
        "an older Accord's where the codec changes",
        ACCORD,
        replace_in_extension("accord_codec_on", "RECORD_PRE_BUFFER_FRAMES=0", "RECORD_PRE_BUFFER_FRAMES=25"),
        "accord_codec_on is of an older Accord",
    ),
    DialplanFault(
        "a bound of its own",
        ACCORD,
        replace_in_extension("accord_begin", "+${accord_seconds}", "+2"),
        "announcements are cut off after 2 s",
    ),
    DialplanFault(
        "the socket keeps its power",
        ACCORD,
        replace_in_extension("accord_timeout", '<action application="unset" data="socket_resume"/>'),
        "does not first unset socket_resume",
    ),
    DialplanFault(
        "late is not marked",
        ACCORD,
        replace_in_extension("accord_timeout", "accord_state=late", "accord_late=1"),
        "does not mark the call as late",
    ),
    DialplanFault(
        "the timeout sends nobody on",
        ACCORD,
        replace_in_extension("accord_timeout_on", 'application="transfer"', 'application="log"'),
        "does not send the call on",
    ),
)

LATE = (
    '<action application="set" data="accord_done=${sched_api(+${accord_seconds} ${accord_bound} '
    'uuid_setvar ${uuid} accord_state late)}"/>'
)
NUMBERS = r'field="${accord_line}" expression="^\+?[0-9]{2,15}$"'

BROKEN_OUTWARD = (
    DialplanFault("no callee", CALLEE, extension("accord_callee"), "the extension accord_callee is missing"),
    DialplanFault(
        "nobody is asked", CALLEE, extension("accord_listen"), "the extension accord_listen is missing"
    ),
    DialplanFault(
        "callees are left", CALLEE, instead("full", "async full"), "a daemon that dies can leave callees"
    ),
    DialplanFault(
        "callees are hung up",
        CALLEE,
        instead(
            "accord_state=answered",
            'accord_state=answered"/><action application="set" data="socket_resume=true',
        ),
        "both ends are hung up",
    ),
    DialplanFault("no guard for callees", CALLEE, instead(GUARD, ""), "accord_callee has no guard"),
    DialplanFault(
        "no state", CALLEE, instead("accord_state=answered", "a=b"), "does not set accord_state=answered"
    ),
    DialplanFault(
        "begins at any time",
        CALLEE,
        replace_in_extension("accord_callee", "sched_api(+", "sched_del("),
        "accord_callee sets no bound",
    ),
    DialplanFault(
        "callees are transferred",
        CALLEE,
        replace_in_extension(
            "accord_begin", LATE, '<action application="sched_transfer" data="+9 a XML b"/>'
        ),
        "has the switch transfer the callee",
    ),
    DialplanFault(
        "no bound for callees",
        CALLEE,
        replace_in_extension("accord_again", LATE),
        "accord_again sets no bound",
    ),
    DialplanFault(
        "callees end it",
        CALLEE,
        replace_in_extension("accord_ask", "playback_terminators=none", "a=b"),
        "accord_ask leaves playback_terminators",
    ),
    DialplanFault(
        "begins on a bridged call",
        CALLEE,
        replace_in_extension("accord_begin", "^(answered|asking)$", "."),
        "accord_begin acts in state 'announced'",
    ),
    DialplanFault(
        "confirms any callee",
        CALLEE,
        replace_in_extension("accord_announced", "^announcing$", "."),
        "accord_announced acts in state 'answered'",
    ),
    DialplanFault(
        "records the question",
        CALLEE,
        replace_in_extension("accord_ask", '"playback"', '"record_session"'),
        "records before anybody has agreed",
    ),
    DialplanFault(
        "records later",
        CALLEE,
        replace_in_extension("accord_begin", "record_session", "log"),
        "does not record before it plays",
    ),
    DialplanFault(
        "callees in one channel",
        CALLEE,
        replace_in_extension("accord_begin", "RECORD_STEREO=true", "a=b"),
        "does not record in two channels",
    ),
    DialplanFault(
        "an older Accord's callees",
        CALLEE,
        replace_in_extension("accord_begin", "RECORD_PRE_BUFFER_FRAMES=0,"),
        "accord_begin is of an older Accord, without RECORD_PRE_BUFFER_FRAMES=0",
    ),
    DialplanFault(
        "a refusal is recorded",
        CALLEE,
        replace_in_extension("accord_decline", STOP),
        "accord_decline does not end",
    ),
    DialplanFault(
        "nobody is told", WAY, instead("nolocal:accord_state=calling", "a=b"), "callees hear no announcement"
    ),
    DialplanFault(
        "told too soon",
        WAY,
        instead("nolocal:group_confirm_early_ok=false", "a=b"),
        "connected before they have answered",
    ),
    DialplanFault(
        "timed out", WAY, instead("group_confirm_cancel_timeout=true", "a=b"), "leaves call_timeout on"
    ),
    DialplanFault(
        "timed out by the call's own",
        WAY,
        instead("execute_on_pre_originate_accord", "a"),
        "leaves call_timeout on",
    ),
    DialplanFault(
        "calls out end",
        WAY,
        instead('name="accord_outbound" continue="true"', 'name="accord_outbound"'),
        "calls end there",
    ),
    DialplanFault(
        "emergency calls are told",
        WAY,
        extension("accord_outbound_untouched"),
        "acts on calls to emergency numbers",
    ),
    DialplanFault(
        "told twice",
        WAY,
        replace_in_extension("accord_outbound", '<condition field="${accord_state}" expression="^$"/>'),
        "acts on calls that Accord already handles",
    ),
    DialplanFault(
        "nobody's calls",
        WAY,
        replace_in_extension("accord_outbound", NUMBERS, NUMBERS.partition("^")[0] + '"'),
        "acts on calls without a line",
    ),
)
"""Faults of the outbound dialplan."""


_AHEAD = (
    '<extension name="ahead"><condition field="destination_number" expression="^([0-9]{11})$">'
    '<action application="bridge" data="sofia/gateway/trunk/$1"/></condition></extension>\n'
)

BROKEN_ROUTES = (
    DialplanFault(
        "an inbound route ahead of Accord",
        "dialplan/public.xml",
        instead("<X-PRE", f"{_AHEAD}<X-PRE"),
        "extension 'ahead' of context 'public'",
    ),
    DialplanFault(
        "an outbound route ahead of Accord",
        "dialplan/outbound.xml",
        instead("<X-PRE", f"{_AHEAD}<X-PRE"),
        "extension 'ahead' of context 'outbound'",
    ),
    DialplanFault(
        "Accord's extensions twice",
        "dialplan/public.xml",
        instead("</context>", '<X-PRE-PROCESS cmd="include" data="public/00_accord.xml"/>\n</context>'),
        "context public sends each call to the daemon 2 times",
    ),
)
"""Routes that connect a call before Accord is asked, or that ask twice."""


def copy(folder: Path) -> Path:
    """A copy of the shipped configuration, to be changed."""
    return Path(shutil.copytree(CONF, folder / "conf"))


def apply(conf: Path, fault: DialplanFault) -> None:
    """Change a copy.  A change without effect is an error of the test."""
    path = conf / fault.file
    before = (CONF / fault.file).read_text()
    after = fault.change(before)
    assert after != before, fault.name
    path.write_text(after)


def mend(conf: Path, fault: DialplanFault) -> None:
    """As it is shipped."""
    (conf / fault.file).write_text((CONF / fault.file).read_text())
