"""Ways in which a switch's dialplan can be wrong, and what the doctor must say of each."""

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
class Broken:
    """``change`` is done to the text of ``file``; ``says`` is a part of a line."""

    name: str
    file: str
    change: Callable[[str], str]
    says: str


def without(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, "", text, flags=re.DOTALL)


def instead(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


def extension(name: str) -> Callable[[str], str]:
    return without(rf'<extension name="{name}"[^>]*>.*?</extension>')


def within(name: str, old: str, new: str = "") -> Callable[[str], str]:
    """Something else in one extension alone."""

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

BROKEN = (
    Broken("no guard", ENTRY, instead(GUARD, ""), "has no guard after its socket"),
    Broken(
        "something before the guard",
        ENTRY,
        instead(GUARD, f'<action application="sleep" data="1"/>{GUARD}'),
        "has no guard after its socket",
    ),
    Broken(
        "keys of its own",
        "dialplan/public/90_route.xml",
        instead(
            '<action application="bridge"',
            '<action application="bind_meta_app" data="4 b s att_xfer::user/2"/><action application="bridge"',
        ),
        "binds * (bind_meta_app)",
    ),
    Broken(
        "the sound goes past the switch",
        "dialplan/public/90_route.xml",
        instead('application="bridge" data="', 'application="bridge" data="{bypass_media_after_bridge=true}'),
        "has bypass_media_after_bridge in a dial string",
    ),
    Broken(
        "a fifo",
        "dialplan/public/90_route.xml",
        instead(
            '<action application="bridge"',
            '<action application="fifo" data="calls out nowait"/><action application="bridge"',
        ),
        "takes calls from a fifo, which hangs up",
    ),
    Broken("no bound", ENTRY, instead(BOUND, ""), "has no bound before its socket"),
    Broken("a long bound", ENTRY, instead("+$${accord_wait}", "+60"), "lets a call wait 60 s"),
    Broken(
        "no resume", ENTRY, instead('data="socket_resume=true"', 'data="a=b"'), "does not set socket_resume"
    ),
    Broken("calls end", ENTRY, instead('name="accord" continue="true"', 'name="accord"'), "calls end there"),
    Broken("sync", ENTRY, instead("async full", "full"), "is not `async full`"),
    Broken(
        "another daemon", ENTRY, instead("$${accord_daemon}", "127.0.0.1:1"), "sends calls to 127.0.0.1:1"
    ),
    Broken(
        "no code to pause",
        ACCORD,
        instead("execute_extension,accord_pause_", "execute_extension,other_"),
        "has no code to pause its recording",
    ),
    Broken(
        "a pause that masks nothing", ACCORD, instead(" mask '", " unmask '"), "does not mask the recording"
    ),
    Broken(
        "no entry",
        ENTRY,
        without(r'<extension name="accord".*?</extension>'),
        "no extension brings calls to the daemon",
    ),
    Broken("no timeout", ACCORD, extension("accord_timeout"), "there is no extension accord_timeout"),
    Broken("no catch-all", ACCORD, extension("accord_after_any"), "there is no extension accord_after_any"),
    Broken(
        "the guard keeps recordings",
        ACCORD,
        within("accord_after_any", STOP),
        "a call left in state 'announcing' keeps its recording",
    ),
    Broken(
        "the guard stops another recording",
        ACCORD,
        within("accord_after_any", "${accord_recorded}", "${accord_audio}"),
        "a call left in state 'failed' keeps its recording",
    ),
    Broken(
        "the guard passes a state",
        ACCORD,
        instead("accord_after_(waiting|answered|passed)$", "accord_after_(waiting|passed|late)$"),
        "a call left in state 'late' keeps its recording",
    ),
    Broken(
        "the bound stays",
        ACCORD,
        within("accord_after_announced", UNDO),
        "a call left in state 'announced' keeps its bound",
    ),
    Broken(
        "a call that rings is recorded",
        ACCORD,
        within(
            "accord_after_announced",
            '<action application="unset" data="socket_resume"/>',
            '<action application="record_session" data="a"/>',
        ),
        "a call that is to be announced on answer is recorded before",
    ),
    Broken("nothing rings first", ACCORD, extension("accord_pickup"), "there is no extension accord_pickup"),
    Broken(
        "keys end the announcement",
        ACCORD,
        within("accord_begin", "playback_terminators=none", "playback_terminators=*"),
        "leaves playback_terminators",
    ),
    Broken(
        "begins at any time",
        ACCORD,
        within("accord_begin", "^waiting$", "."),
        "accord_begin acts in state 'announced'",
    ),
    Broken(
        "confirms at any time",
        ACCORD,
        within("accord_announced", "^announcing$", "^.*$"),
        "accord_announced acts in state 'waiting'",
    ),
    Broken(
        "records after the announcement",
        ACCORD,
        within("accord_begin", "record_session", "log"),
        "does not record before it plays",
    ),
    Broken(
        "one channel",
        ACCORD,
        within("accord_begin", "RECORD_STEREO=true", "RECORD_STEREO=false"),
        "does not record in two channels",
    ),
    Broken(
        "an older Accord's",
        ACCORD,
        within("accord_begin", "RECORD_PRE_BUFFER_FRAMES=0,"),
        "accord_begin is of an older Accord, without RECORD_PRE_BUFFER_FRAMES=0",
    ),
    Broken(
        "an older Accord's where the codec changes",
        ACCORD,
        within("accord_codec_on", "RECORD_PRE_BUFFER_FRAMES=0", "RECORD_PRE_BUFFER_FRAMES=25"),
        "accord_codec_on is of an older Accord",
    ),
    Broken(
        "a bound of its own",
        ACCORD,
        within("accord_begin", "+${accord_seconds}", "+2"),
        "announcements are broken off after 2 s",
    ),
    Broken(
        "the socket keeps its power",
        ACCORD,
        within("accord_timeout", '<action application="unset" data="socket_resume"/>'),
        "does not first unset socket_resume",
    ),
    Broken(
        "late is not marked",
        ACCORD,
        within("accord_timeout", "accord_state=late", "accord_late=1"),
        "does not mark the call as late",
    ),
    Broken(
        "the timeout sends nobody on",
        ACCORD,
        within("accord_timeout_on", 'application="transfer"', 'application="log"'),
        "does not send the call on",
    ),
)

LATE = (
    '<action application="set" data="accord_done=${sched_api(+${accord_seconds} ${accord_bound} '
    'uuid_setvar ${uuid} accord_state late)}"/>'
)
NUMBERS = r'field="${accord_line}" expression="^\+?[0-9]{2,15}$"'

BROKEN_OUTWARD = (
    Broken("no callee", CALLEE, extension("accord_callee"), "there is no extension accord_callee"),
    Broken("nobody is asked", CALLEE, extension("accord_listen"), "there is no extension accord_listen"),
    Broken("callees are left", CALLEE, instead("full", "async full"), "a daemon that dies can leave callees"),
    Broken(
        "callees are hung up",
        CALLEE,
        instead("accord_state=answered", 'accord_state=answered"/><action application="set" '
                'data="socket_resume=true'),
        "both ends are hung up",
    ),
    Broken("no guard for callees", CALLEE, instead(GUARD, ""), "accord_callee has no guard"),
    Broken("no state", CALLEE, instead("accord_state=answered", "a=b"), "does not set accord_state=answered"),
    Broken("begins at any time", CALLEE, within("accord_callee", "sched_api(+", "sched_del("),
           "accord_callee sets no bound"),
    Broken("callees are transferred", CALLEE,
           within("accord_begin", LATE, '<action application="sched_transfer" data="+9 a XML b"/>'),
           "has the switch transfer the callee"),
    Broken("no bound for callees", CALLEE, within("accord_again", LATE), "accord_again sets no bound"),
    Broken("callees end it", CALLEE, within("accord_ask", "playback_terminators=none", "a=b"),
           "accord_ask leaves playback_terminators"),
    Broken("begins on a bridged call", CALLEE, within("accord_begin", "^(answered|asking)$", "."),
           "accord_begin acts in state 'announced'"),
    Broken("confirms any callee", CALLEE, within("accord_announced", "^announcing$", "."),
           "accord_announced acts in state 'answered'"),
    Broken("records the question", CALLEE, within("accord_ask", '"playback"', '"record_session"'),
           "records before anybody has agreed"),
    Broken("records later", CALLEE, within("accord_begin", "record_session", "log"),
           "does not record before it plays"),
    Broken("callees in one channel", CALLEE, within("accord_begin", "RECORD_STEREO=true", "a=b"),
           "does not record in two channels"),
    Broken("an older Accord's callees", CALLEE, within("accord_begin", "RECORD_PRE_BUFFER_FRAMES=0,"),
           "accord_begin is of an older Accord, without RECORD_PRE_BUFFER_FRAMES=0"),
    Broken("a refusal is recorded", CALLEE, within("accord_decline", STOP), "accord_decline does not end"),
    Broken("nobody is told", WAY, instead("nolocal:accord_state=calling", "a=b"),
           "callees hear no announcement"),
    Broken("told too soon", WAY, instead("nolocal:group_confirm_early_ok=false", "a=b"),
           "connected before they have answered"),
    Broken("timed out", WAY, instead("group_confirm_cancel_timeout=true", "a=b"), "leaves call_timeout on"),
    Broken("timed out by the call's own", WAY, instead("execute_on_pre_originate_accord", "a"),
           "leaves call_timeout on"),
    Broken("calls out end", WAY, instead('name="accord_outbound" continue="true"', 'name="accord_outbound"'),
           "calls end there"),
    Broken("emergency calls are told", WAY, extension("accord_outbound_untouched"),
           "acts on calls to emergency numbers"),
    Broken("told twice", WAY,
           within("accord_outbound", '<condition field="${accord_state}" expression="^$"/>'),
           "acts on calls that Accord already handles"),
    Broken("nobody's calls", WAY, within("accord_outbound", NUMBERS, NUMBERS.partition("^")[0] + '"'),
           "acts on calls without a line"),
)  # fmt: skip
"""Those on the way out."""


_AHEAD = (
    '<extension name="ahead"><condition field="destination_number" expression="^([0-9]{11})$">'
    '<action application="bridge" data="sofia/gateway/trunk/$1"/></condition></extension>\n'
)

BROKEN_ROUTES = (
    Broken("an inbound route ahead of Accord", "dialplan/public.xml", instead("<X-PRE", f"{_AHEAD}<X-PRE"),
           "extension 'ahead' of context 'public'"),
    Broken("an outbound route ahead of Accord", "dialplan/outbound.xml", instead("<X-PRE", f"{_AHEAD}<X-PRE"),
           "extension 'ahead' of context 'outbound'"),
    Broken("Accord's extensions twice", "dialplan/public.xml",
           instead("</context>", '<X-PRE-PROCESS cmd="include" data="public/00_accord.xml"/>\n</context>'),
           "context public brings each call to the daemon 2 times"),
)  # fmt: skip
"""Ways that connect a call before Accord is asked, or that ask twice."""


def copy(folder: Path) -> Path:
    """The shipped configuration, to be changed."""
    return Path(shutil.copytree(CONF, folder / "conf"))


def apply(conf: Path, broken: Broken) -> None:
    """Change a copy.  A change that changes nothing is a mistake of the test's."""
    path = conf / broken.file
    before = (CONF / broken.file).read_text()
    after = broken.change(before)
    assert after != before, broken.name
    path.write_text(after)


def mend(conf: Path, broken: Broken) -> None:
    """As it is shipped."""
    (conf / broken.file).write_text((CONF / broken.file).read_text())
