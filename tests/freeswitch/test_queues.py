"""Queues, voicemail and parking by FreeSWITCH's own modules (mod_callcenter, mod_fifo, mod_voicemail,
mod_valet_parking), on a real switch that has them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recorder.audio.encoded_take import Encoded
from recorder.audio.encoding import WAV, encode
from recorder.clock import utc_now
from recorder.spool.layout import Take
from recorder.spool.snapshot import write_snapshot
from tests.freeswitch.internal_phones import (
    CALLER,
    MUSIC,
    SECOND,
    THIRD,
    TONES,
    Talk,
    configuration,
    write_tones,
)
from tests.freeswitch.switches import NUMBER, RATE, Rig, level, read_wav, until
from tests.freeswitch.test_feature_codes import zeros
from tests.scenarios.definitions import Line
from tests.scenarios.files import Sounds

MODULES = ("mod_callcenter", "mod_fifo", "mod_voicemail", "mod_valet_parking")
MOH = f"tone_stream://%(60000,0,{MUSIC})"
BEEP = 850
"""Hz of the voicemail's tone."""

WAYS: dict[str, tuple[str, Line, str]] = {
    "centre": ("60", "line", "answer:;callcenter:support@default"),
    "centre_at_pickup": ("61", "at_pickup", "answer:;callcenter:support@default"),
    "fifo": ("62", "line", f"answer:;set:fifo_music={MOH};fifo:calls in"),
    "fifo_at_pickup": ("63", "at_pickup", f"answer:;set:fifo_music={MOH};fifo:other in"),
    "voicemail": ("64", "line", "set:call_timeout=2;bridge:{86};answer:;voicemail:default test 200"),
    "parks": ("65", "line", "set:hangup_after_bridge=false;set:continue_on_fail=true;bridge:{01};park:"),
}
"""Each way's number, its line, and what the telephone system does with it after Accord."""

KEY = '<action application="set" data="fifo_consumer_exit_key=none"/>'
"""By itself mod_fifo takes every ``*`` of who takes calls from it for the wish to hang up on the caller."""

FEATURES = f"""<include>
  <extension name="next"><condition field="destination_number" expression="^next-([a-z]+)$">
    <action application="answer"/>{KEY}<action application="fifo" data="$1 out nowait"/>
  </condition></extension>
  <extension name="waits"><condition field="destination_number" expression="^waits-([a-z]+)$">
    <action application="answer"/>{KEY}<action application="fifo" data="$1 out wait undef {MOH}"/>
  </condition></extension>
  <extension name="valet"><condition field="destination_number" expression="^valet-([0-9]+)$">
    <action application="answer"/><action application="set" data="valet_hold_music={MOH}"/>
    <action application="valet_park" data="lot $1"/>
  </condition></extension>
</include>
"""

CENTRE = f"""<configuration name="callcenter.conf"><settings/>
  <queues><queue name="support@default">
    <param name="strategy" value="ring-all"/><param name="moh-sound" value="{MOH}"/>
    <param name="time-base-score" value="system"/><param name="max-wait-time" value="0"/>
    <param name="max-wait-time-with-no-agent" value="0"/><param name="tier-rules-apply" value="false"/>
    <param name="discard-abandoned-after" value="60"/><param name="abandoned-resume-allowed" value="false"/>
  </queue></queues>
  <agents>
    <agent name="anna" type="callback" contact="[call_timeout=9]sofia/accord/{SECOND}@$${{accord_route}}"
      status="Available" max-no-answer="9" wrap-up-time="0" reject-delay-time="1" busy-delay-time="1"/>
  </agents>
  <tiers><tier agent="anna" queue="support@default" level="1" position="1"/></tiers>
</configuration>
"""

VOICEMAIL = f"""<configuration name="voicemail.conf"><settings/><profiles><profile name="default">
  <param name="terminator-key" value="#"/><param name="max-login-attempts" value="3"/>
  <param name="file-extension" value="wav"/><param name="record-silence-threshold" value="200"/>
  <param name="record-silence-hits" value="20"/><param name="callcenter" value=""/>
  <param name="play-new-messages-key" value="1"/><param name="play-saved-messages-key" value="2"/>
  <param name="skip-greet-key" value="5"/><param name="tone-spec" value="%(900, 0, {BEEP})"/>
</profile></profiles></configuration>
"""

PERSON = """<section name="directory"><domain name="test"><groups><group name="g"><users>
  <user id="200"><params><param name="vm-password" value="x"/></params></user>
</users></group></groups></domain></section>"""


def build(folder: Path) -> Path:
    """Create the switch's configuration with these modules."""
    conf = configuration(folder)
    public, autoload = conf / "dialplan" / "public", conf / "autoload_configs"
    (public / "02_queues.xml").write_text(FEATURES)
    extensions = []
    for name, (digits, _line, does) in WAYS.items():
        actions = '<action application="export" data="hold_music=silence_stream://-1"/>\n'
        for one in does.split(";"):
            application, _, data = one.partition(":")
            for each in ("01", "86"):
                data = data.replace(f"{{{each}}}", f"sofia/accord/{NUMBER}{each}@$${{accord_route}}")
            actions += f'<action application="{application}" data="{data}"/>\n'
        condition = f'<condition field="destination_number" expression="^[0-9]+{digits}$">'
        extensions.append(f'<extension name="{name}">{condition}\n{actions}</condition></extension>\n')
    (public / "85_ways.xml").write_text(f"<include>\n{''.join(extensions)}</include>\n")
    (autoload / "callcenter.conf.xml").write_text(CENTRE)
    (autoload / "voicemail.conf.xml").write_text(VOICEMAIL)
    (autoload / "fifo.conf.xml").write_text('<configuration name="fifo.conf"><settings/></configuration>\n')
    root = conf / "freeswitch.xml"
    root.write_text(root.read_text().replace('<section name="directory"/>', PERSON))
    modules = autoload / "modules.conf.xml"
    more = "".join(f'  <load module="{name}"/>\n' for name in MODULES)
    modules.write_text(modules.read_text().replace("  </modules>", f"{more}  </modules>"))
    return conf


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Sounds]]:
    folder = tmp_path_factory.mktemp("queues")
    rig = Rig(folder / "rig", build(folder))
    write_tones(rig)
    sounds = Sounds(rig.snapshot / "prompts")
    lines = [sounds.line(line, f"{NUMBER}{digits}") for digits, line, _ in WAYS.values()]
    write_snapshot(rig.snapshot, lines, [], utc_now())
    try:
        rig.start()
        missing = [name for name in MODULES if rig.switch.esl.api(f"module_exists {name}") != "true"]
        if missing:
            pytest.skip(f"this FreeSWITCH has no {', '.join(missing)}")
        rig.start_daemon()
        rig.wait_watching()
        yield rig, sounds
    finally:
        rig.stop()


@pytest.fixture(autouse=True)
def no_calls_left(system: tuple[Rig, Sounds]) -> Iterator[None]:
    yield
    system[0].hang_up_all()


def calls(system: tuple[Rig, Sounds], *names: str) -> dict[str, Talk]:
    return {name: Talk(system[0], system[0].call(f"{NUMBER}{WAYS[name][0]}")) for name in names}


def encode_wav(take: Take, sounds: Sounds) -> tuple[Encoded, np.ndarray]:
    """Return the encoded take and its kept audio."""
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    kinds = [marker.kind for marker in take.markers]
    assert kinds.count("recording_started") == kinds.count("announcement_finished") == 1
    encoded_take = encode(
        replace(take, start=replace(take.start, formats=("wav",))), sounds.paths["announcement"]
    )
    return encoded_take, read_wav(take.folder / WAV)


def is_whole(encoded_take: Encoded, redacted: np.ndarray, number: str, silent: tuple[str, ...]) -> None:
    """Check that nothing of the waiting is kept, and all of the talk with ``number`` except the ``silent``
    parts."""
    first = next(marker for marker in encoded_take.markers if marker.kind == "bridged")
    assert first.data["value"].endswith(number[-2:])
    assert encoded_take.announced is not None
    announcement_end = encoded_take.announced.end_ms * RATE // 1000
    music = level(redacted[announcement_end:, 1], MUSIC) > 0.05
    # The last moments of what is waited in a talk are kept, for the talk may go on in them.
    assert music.sum() <= (6 if "waiting" in silent else 0), "the music"
    speaks = np.max([level(redacted[:, 1], pitch) for pitch in TONES.values()], axis=0) > 0.1
    speaks[: announcement_end // 800 + 1] = False
    speech_start = int(np.argmax(speaks))
    assert speech_start > 0
    samples = level(redacted[:, 0], CALLER) > 0.1
    at = first.offset_ms * RATE // 1000
    assert not samples[announcement_end // 800 + 1 : max(at // 800 - 4, 0)].any(), (
        "what they said while they waited"
    )
    in_talk = np.ones(len(redacted), bool)
    for gap in encoded_take.gaps:
        if gap.reason in silent:
            in_talk[gap.start_ms * 8 : gap.end_ms * 8] = False
    both = np.array([in_talk[n * 800 : n * 800 + 800].all() for n in range(len(samples))])
    talk = slice(speech_start + 4, len(samples) - 4)
    assert samples[talk][both[talk]].mean() > 0.9
    assert speaks[talk][both[talk]].mean() > 0.6, "a telephone that dials says nothing for that long"


def pause_and_resume(talk: Talk, phone: str) -> None:
    """Pause and resume by feature codes, in the switch itself."""
    talk.phones(f"uuid_send_dtmf {phone} *6")
    talk.until_marked("paused")
    time.sleep(1.5)
    talk.phones(f"uuid_send_dtmf {phone} *7")
    talk.until_marked("resumed")
    time.sleep(1.5)


@pytest.mark.parametrize("name", ["centre", "centre_at_pickup"])
def test_mod_callcenter_queue(system: tuple[Rig, Sounds], name: str) -> None:
    """The caller waits, then talks to an agent whom the queue calls, and who pauses and transfers."""
    (talk,) = calls(system, name).values()
    talk.until_marked("bridged")
    talk.until_marked("announcement_finished")
    time.sleep(1.5)
    pause_and_resume(talk, talk.phone(SECOND))
    talk.refer(talk.phone(SECOND), THIRD)
    talk.until_marked("bridged", 2)
    time.sleep(1.5)
    encoded_take, samples = encode_wav(talk.end(), system[1])
    is_whole(encoded_take, samples, SECOND, ("paused", "waiting"))
    ((start, end),) = [(gap.start_ms, gap.end_ms) for gap in encoded_take.gaps if gap.reason == "paused"]
    assert any(a <= start * 8 and end * 8 <= b for a, b in zeros(samples))
    assert [marker.data["value"][-2:] for marker in encoded_take.markers if marker.kind == "bridged"] == [
        "91",
        "92",
    ]
    assert (level(samples[-RATE:, 1], TONES[THIRD]) > 0.1).any()


@pytest.mark.parametrize("name", ["fifo", "fifo_at_pickup"])
@pytest.mark.parametrize("how", ["next", "waits"])
def test_mod_fifo_queue(system: tuple[Rig, Sounds], name: str, how: str) -> None:
    """Agents call in for the next caller, or wait in the queue themselves."""
    queue = "calls" if name == "fifo" else "other"
    rig = system[0]
    if how == "waits":
        second_caller = Talk(rig, None)  # type: ignore[arg-type]
        phone = second_caller.place_call(SECOND, f"waits-{queue}")
        time.sleep(1.5)
    (talk,) = calls(system, name).values()
    if how == "next":
        until("they wait", lambda: talk.call.leg and talk.call.variable("current_application") == "fifo", 20)
        time.sleep(1.5)
        phone = talk.place_call(SECOND, f"next-{queue}")
    talk.until_marked("bridged")
    talk.until_marked("announcement_finished")
    time.sleep(1.5)
    pause_and_resume(talk, phone)
    encoded_take, samples = encode_wav(talk.end(), system[1])
    is_whole(encoded_take, samples, SECOND, ("paused",))
    ((start, end),) = [(gap.start_ms, gap.end_ms) for gap in encoded_take.gaps if gap.reason == "paused"]
    assert any(a <= start * 8 and end * 8 <= b for a, b in zeros(samples))


def hears(talk: Talk, pitch: int) -> bool:
    path = talk.call.heard_by_caller
    return path.exists() and bool((level(read_wav(path)[:, 0], pitch) > 0.1).any())


def test_mod_voicemail(system: tuple[Rig, Sounds]) -> None:
    """Callers know that voicemail records them, and talk to nobody."""
    (talk,) = calls(system, "voicemail").values()
    until("it beeps", lambda: hears(talk, BEEP), 40)
    time.sleep(4)
    talk.call.hang_up()
    take = talk.call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("not_recorded", "never_connected")
    until("nothing is left of it", lambda: not list(take.folder.glob("*.wav")), 5)


def test_valet_parking_and_pickup(system: tuple[Rig, Sounds]) -> None:
    (talk,) = calls(system, "parks").values()
    talk.until_marked("bridged")
    time.sleep(1.5)
    talk.refer(talk.phone(f"{NUMBER}01"), "valet-8501")
    talk.until_marked("unbridged")
    time.sleep(2)
    phone = talk.place_call(SECOND, "valet-8501")
    talk.until_marked("bridged", 2)
    time.sleep(1.5)
    pause_and_resume(talk, phone)
    encoded_take, samples = encode_wav(talk.end(), system[1])
    is_whole(encoded_take, samples, f"{NUMBER}01", ("paused", "waiting"))
    (wait_gap,) = [gap for gap in encoded_take.gaps if gap.reason == "waiting"]
    assert wait_gap.channel == "both"
    assert wait_gap.end_ms - wait_gap.start_ms > 1500
    assert not samples[wait_gap.start_ms * 8 : wait_gap.end_ms * 8].any()
    assert (level(samples[-RATE:, 1], TONES[SECOND]) > 0.1).any()
