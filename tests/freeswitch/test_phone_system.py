"""Other routes of a call on a real switch: several internal phones, a queue, menus, voicemail, external
forwarding, holds with music. Each is a number of one phone system, and several are called at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from recorder.audio.encoded_take import Encoded
from recorder.clock import utc_now
from recorder.spool.layout import CALL, Take, read_start
from recorder.spool.snapshot import write_snapshot
from tests.freeswitch.internal_phones import configuration, write_tones
from tests.freeswitch.sound import redact
from tests.freeswitch.switches import NUMBER, RATE, CallUnderTest, Rig, heard_whole, level, read_wav, until
from tests.freeswitch.test_forged_invite import Phone
from tests.scenarios.files import Sounds

CALLER, ANSWERED, SECOND, EARLY, MUSIC, ASKS = 440, 1000, 1500, 700, 620, 850
"""Hz: what is said by the caller, an ordinary telephone, the second colleague and a telephone before it
answers; a queue's music, which is also that of a hold; a menu."""

FRAME_MS = 20
"""What the switch writes at a time, in milliseconds."""

ROUTES = {
    "early": ("39", "line", "bridge:{79}"),
    "early_at_pickup": ("38", "at_pickup", "bridge:{79}"),
    # A telephone with early media, and one that answers before it does.
    "group": ("40", "line", "bridge:{79},{88}"),
    "in_turn": ("41", "line", "bridge:{86}|{88}"),
    "nobody": ("42", "line", "set:call_timeout=2;bridge:{87},{77}"),
    "group_at_pickup": ("43", "at_pickup", "bridge:{79},{88}"),
    "in_turn_at_pickup": ("44", "at_pickup", "bridge:{86}|{88}"),
    "nobody_at_pickup": ("45", "at_pickup", "set:call_timeout=2;bridge:{87},{77}"),
    "queue": ("46", "line", "playback:tone_stream://%(2500,0,620);bridge:{91}"),
    "queue_at_pickup": ("47", "at_pickup", "answer:;playback:tone_stream://%(2500,0,620);bridge:{91}"),
    "menu_before": ("48", "opt_out", "bridge:{01}"),
    "menu_after": ("49", "line",
                   "play_and_get_digits:4 4 1 5000 # tone_stream://%(500,0,850) silence pin .+;bridge:{01}"),
    "voicemail": ("50", "line", "bridge:{86};playback:tone_stream://%(20000,0,850)"),
    "voicemail_at_pickup": ("51", "at_pickup", "bridge:{86};answer:;playback:tone_stream://%(3000,0,850)"),
    "external": ("52", "line", "bridge:[accord_external=true]{98}"),
    "external_at_pickup": ("53", "at_pickup", "bridge:[accord_external=true]{98}"),
    "moved": ("54", "line", "bridge:{75}"),
    "moved_away": ("55", "line", "bridge:{74}"),
    "own_mobile": ("56", "line", "bridge:[accord_external=false]{74}"),
    "redirected": ("57", "at_pickup", "redirect:sip:elsewhere@127.0.0.1:9"),
    "deflected": ("59", "line", f"deflect:sip:{NUMBER}92@127.0.0.1:9"),
    "held": ("58", "line", "bridge:{01}"),
}  # fmt: skip
"""Each way's number, its line, and what the telephone system does with it after Accord."""

MENU = """<include>
  <extension name="menu" continue="true">
  <condition field="${accord_state}" expression="^$"/>
  <condition field="destination_number" expression="^[0-9]+48$">
    <action application="answer"/>
    <action application="play_and_get_digits" data="1 1 1 9000 # tone_stream://%(9,0,850) silence key [0-9]"/>
  </condition></extension>
</include>
"""


def routes() -> str:
    """Return the dialplan of the phone system."""
    extensions = []
    for name, (digits, _line, does) in ROUTES.items():
        actions = ""
        for one in does.split(";"):
            application, _, data = one.partition(":")
            for each in {part[:2] for part in data.split("{")[1:]}:
                data = data.replace(f"{{{each}}}", f"sofia/accord/{NUMBER}{each}@$${{accord_route}}")
            actions += f'<action application="{application}" data="{data}"/>\n'
        extensions.append(
            f'<extension name="{name}"><condition field="destination_number" expression="^[0-9]+{digits}$">\n'
            '<action application="set" data="continue_on_fail=true"/>\n'
            '<action application="set" data="hangup_after_bridge=true"/>\n'
            '<action application="export" data="hold_music=tone_stream://%(30000,0,620)"/>\n'
            f"{actions}</condition></extension>\n"
        )
    return f"<include>\n{''.join(extensions)}</include>\n"


@dataclass
class CallResult:
    """The result of a call: the encoded take, the switch's audio, and the kept audio."""

    encoded: Encoded
    raw: np.ndarray
    redacted: np.ndarray

    @property
    def announcement_ms(self) -> int:
        """The end of the announcement in ms."""
        assert self.encoded.announced is not None
        return self.encoded.announced.end_ms

    def gaps(self, reason: str) -> list[tuple[int, int, str]]:
        return [(gap.start_ms, gap.end_ms, gap.channel) for gap in self.encoded.gaps if gap.reason == reason]

    def loud(self, pitch: int, channel: int, *, redacted: bool = True) -> float:
        """Return the share of tenths of a second after the announcement in which a tone is heard."""
        sound = (self.redacted if redacted else self.raw)[self.announcement_ms * RATE // 1000 :]
        return float((level(sound[:, channel], pitch) > 0.1).mean())

    def kept_ms(self, pitch: int, channel: int) -> int:
        """Return how many milliseconds of a tone are kept after the announcement, in whole frames."""
        sound = self.redacted[self.announcement_ms * RATE // 1000 :]
        frames = level(sound[:, channel], pitch, FRAME_MS * RATE // 1000) > 0.1
        return FRAME_MS * int(frames.sum())


class PhoneSystem:
    """The phone system, and calls to it."""

    def __init__(self, rig: Rig, sounds: Sounds) -> None:
        self.rig = rig
        self.sounds = sounds
        self.calls: dict[str, CallUnderTest] = {}

    def call(self, *names: str) -> None:
        for name in names:
            self.calls[name] = self.rig.call(f"{NUMBER}{ROUTES[name][0]}")

    def markers(self, name: str) -> list[str]:
        return self.calls[name].markers_now()

    def until(self, kind: str, *names: str, times: int = 1) -> None:
        for name in names:
            until(f"{name}: {kind}", lambda name=name: self.markers(name).count(kind) >= times, 40)

    def end(self, *names: str) -> dict[str, Take]:
        for name in names:
            self.calls[name].hang_up()
        return {name: self.calls[name].wait_take(30) for name in names}

    def analyse(self, take: Take) -> CallResult:
        encoded_take, redacted = redact(take, self.sounds.paths["announcement"])
        assert encoded_take.announced is not None
        return CallResult(encoded_take, read_wav(take.audio), redacted)


@pytest.fixture(scope="module")
def phone_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhoneSystem]:
    folder = tmp_path_factory.mktemp("phone_system")
    conf = configuration(folder)
    (conf / "dialplan" / "public" / "85_ways.xml").write_text(routes())
    (conf / "dialplan" / "public" / "00_a_menu.xml").write_text(MENU)
    rig = Rig(folder / "rig", conf)
    write_tones(rig)
    sounds = Sounds(rig.snapshot / "prompts")
    lines = [sounds.line(line, f"{NUMBER}{digits}") for digits, line, _ in ROUTES.values()]
    lines.append(sounds.line("line", "202"))
    write_snapshot(rig.snapshot, lines, [], utc_now())
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        yield PhoneSystem(rig, sounds)
    finally:
        rig.stop()


def recorded(take: Take) -> Take:
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    kinds = [marker.kind for marker in take.markers]
    assert kinds.count("recording_stopped") == 1
    assert kinds.count("announcement_finished") == 1
    return take


def not_recorded(take: Take, reason: str) -> None:
    assert (take.end.outcome, take.end.reason) == ("not_recorded", reason)
    until("nothing is left of it", lambda: not list(take.folder.glob("*.wav")), 5)


def test_forked_call_is_one_recording_of_the_answering_phone(phone_system: PhoneSystem) -> None:
    """Nothing of the other phones is recorded, even if one is audible before anybody answers; and nothing at
    all if nobody answers."""
    answered = ("group", "in_turn", "group_at_pickup", "in_turn_at_pickup", "early", "early_at_pickup")
    nobody = ("nobody", "nobody_at_pickup", "redirected", "deflected", "voicemail_at_pickup")
    phone_system.call(*answered, *nobody)
    phone_system.until("announcement_finished", *answered)
    phone_system.until("bridged", *answered)
    time.sleep(1.5)
    for name, take in phone_system.end(*answered).items():
        assert [marker.kind for marker in recorded(take).markers].count("bridged") == 1, name
        result = phone_system.analyse(take)
        assert result.loud(ANSWERED, 1) > 0.1, name
        assert result.loud(EARLY, 1) == 0, name
        by_caller = level(read_wav(phone_system.calls[name].heard_by_caller)[:, 0], EARLY) > 0.1
        if name == "early":
            assert result.loud(EARLY, 1, redacted=False) > 0.1, "the test has nothing to find"
            assert [channel for _, _, channel in result.gaps("ringing")] == ["both"]
            assert by_caller.sum() > 10, "the caller hears it as ever"
    for name in nobody:
        not_recorded(phone_system.calls[name].wait_take(30), "never_connected")


def test_queue_and_menu_time_is_not_in_the_recording(phone_system: PhoneSystem) -> None:
    """Keys pressed there are no answer to Accord and are not marked."""
    talks = ("queue", "queue_at_pickup", "menu_before", "menu_after")
    phone_system.call(*talks, "voicemail")
    menu = phone_system.calls["menu_before"]
    until("it is there", lambda: menu.leg is not None, 8)
    # The choice, and one key too many, which would be a refusal if it were said to the announcement.
    phone_system.rig.switch.esl.api(f"uuid_recv_dtmf {menu.leg} 12")
    phone_system.until("announcement_finished", "menu_after")
    time.sleep(1)
    phone_system.calls["menu_after"].key("1379")  # a PIN
    phone_system.until("bridged", *talks)
    phone_system.until("announcement_finished", *talks)
    phone_system.until("question_answered", "menu_before")
    time.sleep(1.5)
    takes = phone_system.end(*talks, "voicemail")
    not_recorded(takes.pop("voicemail"), "never_connected")
    for name, take in takes.items():
        result = phone_system.analyse(recorded(take))
        assert result.kept_ms(MUSIC, 1) == result.kept_ms(ASKS, 1) == 0, name
        samples = level(result.redacted[:, 0], CALLER) > 0.1
        speaks = level(result.redacted[:, 1], SECOND if "queue" in name else ANSWERED) > 0.1
        speaks[: result.announcement_ms // 100 + 1] = False
        speech_start = int(np.argmax(speaks))
        assert speech_start > 0, name
        assert not samples[: speech_start - 4].any(), f"{name}: what they said while they waited"
        assert samples[speech_start + 4 : -4].all(), name
        assert "1379" not in str([marker.data for marker in take.markers])
    answers = [marker.data for marker in takes["menu_before"].markers if marker.kind == "question_answered"]
    assert answers == [{"question": "recording", "answer": "none"}], "no key of the menu's is one of Accord's"


def test_forwarded_call_is_recorded_only_if_both_are_announced(phone_system: PhoneSystem) -> None:
    """By the dialplan, or by a phone (302): to its own phone system, which marks its outbound leg, or
    elsewhere."""
    untold, announced = ("external", "moved", "moved_away"), ("external_at_pickup", "own_mobile")
    phone_system.call(*untold, *announced)
    phone_system.until("transferred_externally", *untold)
    phone_system.until("bridged", *announced)
    phone_system.until("announcement_finished", *announced)
    time.sleep(1.5)
    for name in untold:
        assert phone_system.calls[name].alive(), name
        assert "session_record" not in phone_system.rig.switch.esl.api(
            f"uuid_buglist {phone_system.calls[name].leg}"
        ), name
    takes = phone_system.end(*untold, *announced)
    for name in untold:
        not_recorded(takes[name], "forwarded_externally")
    for name in announced:
        recorded(takes[name])
    call = phone_system.calls["external_at_pickup"]
    assert heard_whole(read_wav(Path(call.rig.phones_folder / f"callee-{NUMBER}98-{call.caller}.wav"))[:, 0],
                       phone_system.rig.prompt)  # fmt: skip


def test_internal_hold_is_redacted(phone_system: PhoneSystem) -> None:
    """A hold that ends, and a hold that becomes a transfer."""
    rig = phone_system.rig
    phone_system.call("held")
    other = rig.call(f"{NUMBER}58")
    phone_system.calls["transferred"] = other
    names = ("held", "transferred")
    phone_system.until("bridged", *names)
    time.sleep(1)

    def phone(call: CallUnderTest) -> str:
        rows = rig.phones.channels()
        return next(
            row["uuid"] for row in rows if row["direction"] == "inbound" and row["cid_num"] == call.caller
        )

    calls_on_hold = {name: phone(phone_system.calls[name]) for name in names}
    for uuid in calls_on_hold.values():
        rig.phones.esl.api(f"uuid_hold {uuid}")
    phone_system.until("internal_hold", *names)
    time.sleep(2)
    rig.phones.esl.api(f"uuid_hold off {calls_on_hold['held']}")
    rig.switch.esl.api(f"uuid_transfer {other.leg} {NUMBER}91 XML public")
    phone_system.until("internal_unhold", "held")
    phone_system.until("bridged", "transferred", times=2)
    time.sleep(2)
    for name, take in phone_system.end(*names).items():
        result = phone_system.analyse(recorded(take))
        # But for the tail that is left, for the talk may go on in it.
        assert result.loud(MUSIC, 1) < 0.15 < result.loud(MUSIC, 1, redacted=False), name
        ((start, end, channel),) = result.gaps("hold")
        assert channel == "both", name
        held_s = (take.first("internal_unhold") or take.last("bridged")) - take.first("internal_hold")
        assert abs(end - start - held_s.total_seconds() * 1000) < 500, name
        assert end - start > 1500, name
        assert not result.redacted[start * 8 : end * 8].any(), name
        after = end * 8 + RATE * 2 // 3
        assert np.median(level(result.redacted[after : after + RATE, 0], CALLER)) > 0.2, name
        pitch = ANSWERED if name == "held" else SECOND
        assert np.median(level(result.redacted[after : after + RATE, 1], pitch)) > 0.2, name


def test_call_by_two_proxies_and_internal_call(phone_system: PhoneSystem) -> None:
    """The switch refuses the second INVITE. Internal calls are handled as the line says."""
    rig = phone_system.rig
    first, second = Phone(rig.sip_port), Phone(rig.sip_port)
    second.call_id = first.call_id
    for phone in (first, second):
        phone.invite(user=f"{NUMBER}41".encode(), sender=b"32470555444", name=b"x", extra=b"")
    internal = [rig.call("202", "201"), rig.call("203", "204")]
    for number, call in zip(("202", "203"), internal, strict=True):
        until(f"{number} is connected", lambda call=call: call.answered, 20)
    assert sorted([first.final(), second.final()]) == [200, 482]
    time.sleep(1)
    first.bye()
    second.sock.close()
    rig.hang_up_all()
    take = recorded(internal[0].wait_take())
    assert (take.start.external_party.kind, take.start.external_party.value) == ("extension", "201")
    not_recorded(internal[1].wait_take(), "no_line")
    callers = [read_start(path.parent).external_party.value for path in rig.spool.glob(f"*/{CALL}")]
    assert [each.endswith("32470555444") for each in callers].count(True) == 1
