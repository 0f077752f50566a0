"""A switch under test between phones that the test process implements."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import soundfile

from recorder.audio import wav
from recorder.audio.encoded_take import Encoded
from recorder.audio.encoding import encode
from recorder.clock import utc_now
from recorder.domain.line_policy import BEFORE_CONNECTED, Announcement, LinePolicy
from recorder.spool import layout
from recorder.spool.snapshot import write_snapshot
from tests.freeswitch.sound import chirp
from tests.freeswitch.switches import CONF, NUMBER, Rig, until
from tests.freeswitch.telephones import alignment
from tests.freeswitch.telephones.codecs import PCMU, Codec, Voice
from tests.freeswitch.telephones.endpoints import Dialogue, Exchange, Leg

PERIOD = 20
"""Period of a voice in seconds."""


@dataclass(eq=False)
class Pair:
    """A call between two phones; ``outside`` is the caller."""

    phone_rig: PhoneRig
    name: str
    caller: str
    outside: Leg
    inside: Leg
    begins: Callable[[], Dialogue]

    @cached_property
    def dialogue(self) -> Dialogue:
        """Return the caller's dialogue, creating it at the first call. (By then all voices are encoded, which
        would delay speaking phones.)"""
        return self.begins()

    def take(self) -> layout.Take:
        def ended() -> Path | None:
            for path in self.phone_rig.rig.spool.glob(f"*/{layout.END}"):
                if layout.read_start(path.parent).external_party.value.endswith(self.caller):
                    return path.parent
            return None

        folder = until(f"the take of {self.name} is closed", ended, 15, 0.05)
        assert isinstance(folder, Path)
        return layout.read_take(folder)

    def listen(self) -> PairRecording:
        """Return the recording of the call, which has ended."""
        take = self.take()
        assert take.end.outcome == "recorded", (self.name, take.end)
        assert take.start.announcement is not None
        prompt = self.phone_rig.prompts / f"{take.start.announcement.sha256}.wav"
        encoded = encode(take, prompt)
        inspected = wav.inspect(take.audio)
        sound = np.concatenate(list(wav.read_blocks(inspected, 1 << 20))) / 32768
        near, far = self.outside.voice, self.inside.voice
        assert isinstance(near, Voice)
        assert isinstance(far, Voice)
        slow = [alignment.low(sound[:, side], inspected.sample_rate) for side in (0, 1)]
        return PairRecording(
            self, take, encoded, sound, inspected.sample_rate,
            alignment.places(slow[0], near), alignment.places(slow[1], far),
        )  # fmt: skip


@dataclass
class PairRecording:
    """A recording, with the positions of each voice in its channel."""

    pair: Pair
    take: layout.Take
    encoded: Encoded
    sound: np.ndarray
    rate: int
    left: list[alignment.Place]
    right: list[alignment.Place]

    @property
    def steps(self) -> list[float]:
        """The seconds by which the left channel is later than the right one, wherever both are heard."""
        return [late for _, late in alignment.steps(self.left, self.right, PERIOD)]

    @property
    def trend(self) -> list[float]:
        """The same without outliers."""
        return alignment.trend(alignment.steps(self.left, self.right, PERIOD))

    @property
    def slower(self) -> float:
        """The maximum change in seconds of the external voice's delay since the start, without outliers."""
        late = alignment.trend(alignment.pace(self.left, PERIOD))
        return max((abs(one - late[0]) for one in late), default=0.0)

    @property
    def missing_s(self) -> float:
        """The seconds of the external voice that were never written, after its first position."""
        late = alignment.trend(alignment.pace(self.left, PERIOD))
        return late[0] - late[-1]

    @property
    def announcement_s(self) -> float:
        """Return the true position of the announcement: the last best match in the right channel."""
        announcement = self.take.start.announcement
        assert announcement is not None
        prompt, rate = soundfile.read(self.pair.phone_rig.prompts / f"{announcement.sha256}.wav")
        prompt = alignment.low(prompt, rate)
        samples = alignment.low(self.sound[:, 1], self.rate)[: 12 * alignment.RATE]
        size = len(samples) + len(prompt)
        alike = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(prompt, size)), size)
        alike = alike[: len(samples)]
        return int(np.flatnonzero(alike > 0.95 * alike.max())[-1]) / alignment.RATE

    def __str__(self) -> str:
        steps = self.steps or [0.0]
        return (
            f"{self.pair.name}: {self.rate} Hz, {len(self.sound) / self.rate:.2f} s, drift "
            f"{self.encoded.drift_ms} ms, apart {1000 * min(steps):.0f} to {1000 * max(steps):.0f} ms "
            f"({len(self.steps)} places), pace {1000 * self.slower:.0f} ms, "
            f"told {self.encoded.announced} / {self.announcement_s:.3f}"
        )


def patient(conf: Path, copy: Path) -> Path:
    """Return a configuration with a longer wait for the daemon, for busy machines."""
    shutil.copytree(conf, copy)
    variables = copy / "accord" / "vars.xml"
    before, after = 'data="accord_wait=3"', 'data="accord_wait=60"'
    text = variables.read_text()
    assert before in text
    variables.write_text(text.replace(before, after))
    return copy


class PhoneRig:
    """The switch, its daemon, and the phones around it."""

    def __init__(self, folder: Path, conf: Path = CONF) -> None:
        self.rig = Rig(folder, patient(conf, folder / "conf"))
        self.exchange = Exchange(self.rig.sip_port)
        self.rig.switch.environment["ACCORD_ROUTE"] = f"127.0.0.1:{self.exchange.port}"
        self.rig.switch.environment["ACCORD_TRUNK"] = f"127.0.0.1:{self.exchange.port}"
        self.exchange.callee_leg = lambda number: self._far_legs[number[-2:]]
        self.prompts = self.rig.snapshot / "prompts"
        self.transfers = 0
        self._far_legs: dict[str, Leg] = {}
        self._placed = 0
        self._lines()

    def _lines(self) -> None:
        """Write lines with an announcement at 8 kHz and, for even numbers, at 16 kHz."""
        wide = soundfile.read(Path(__file__).parents[3] / "recorder/prompts/sounds/en/recorded.flac")
        speech = alignment.low(wide[0], wide[1])
        widely = (
            np.fft.irfft(np.fft.rfft(wide[0])[: len(wide[0]) * 16000 // wide[1] // 2 + 1]) * 16000 / wide[1]
        )
        announcements = []
        for name, sound, rate in (("chirp", chirp(), 8000), ("spoken", widely, 16000), ("low", speech, 8000)):
            path = self.prompts / "new.wav"
            soundfile.write(path, sound, rate, subtype="PCM_16")
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            path.rename(path.with_name(f"{digest}.wav"))
            length = len(sound) * 1000 // rate
            announcements.append(Announcement(name, 1, "en", name, ("agreement",), 30, digest, length))
        lines = [
            LinePolicy(
                "t1",
                f"l{n}",
                f"{NUMBER}{n:02}",
                "notice",
                "before_ringing",
                ("opus", "wav"),
                announcements[n % 3],
                outbound=BEFORE_CONNECTED,
            )
            for n in range(90)
        ]
        write_snapshot(self.rig.snapshot, lines, [], utc_now())

    def place(
        self,
        name: str,
        outside: Codec = PCMU,
        inside: Codec = PCMU,
        *,
        codecs: tuple[Codec, ...] = (),
        line: int | None = None,
        **more: object,
    ) -> Pair:
        """Place a call; ``more`` has variables of the caller's leg."""
        self._placed += 1
        number = self._placed % 90 if line is None else line
        caller = f"3248{self._placed:07}"
        near = Leg(outside, Voice(2 * self._placed, PERIOD), **more)  # type: ignore[arg-type]
        far = Leg(inside, Voice(2 * self._placed + 1, PERIOD))
        for leg, leg_codecs in ((near, codecs or (outside,)), (far, (inside,))):
            for codec in leg_codecs:
                leg.voice.payload(codec, 0)  # encoded before it is needed
        self._far_legs[f"{number:02}"] = far
        begins = partial(self.exchange.call, f"{NUMBER}{number:02}", caller, near, codecs)
        return Pair(self, name, caller, near, far, begins)

    def place_out(self, name: str, outside: Codec = PCMU, inside: Codec = PCMU) -> Pair:
        """Place an outbound call; ``outside`` is the callee."""
        self._placed += 1
        line = self._placed % 90
        callee = f"3247888{self._placed:04}{line:02}"
        near, far = (
            Leg(outside, Voice(2 * self._placed, PERIOD)),
            Leg(inside, Voice(2 * self._placed + 1, PERIOD)),
        )
        for leg in (near, far):
            leg.voice.payload(leg.codec, 0)  # encoded before it is needed
        self._far_legs[f"{line:02}"] = near
        begins = partial(self.exchange.call, callee, f"{NUMBER}{line:02}", far, port=self.rig.out_port)
        return Pair(self, name, callee, near, far, begins)

    def end_of(self, leg: Leg) -> Dialogue:
        """Return a phone's end of its call."""
        return next(one for one in self.exchange.dialogues.values() if one.leg is leg)

    def answers(self, number: int, leg: Leg) -> None:
        """Set the phone that answers a number from now on."""
        self._far_legs[f"{number:02}"] = leg

    def until_connected(self, *pairs: Pair) -> None:
        """Wait until all calls are connected."""
        for pair in pairs:
            assert pair.dialogue
        for pair in pairs:
            until(f"{pair.name} is connected", lambda pair=pair: pair.inside.to is not None, 30)

    @staticmethod
    def talk(seconds: float, *pairs: Pair) -> None:
        """Let all calls talk for ``seconds``, then hang up."""
        time.sleep(seconds)
        for pair in pairs:
            pair.dialogue.bye()

    def leg_of(self, pair: Pair) -> str:
        """Return the external leg's id on the switch."""
        rows = self.rig.switch.channels()
        return next(
            row["uuid"] for row in rows if row["direction"] == "inbound" and row["cid_num"] == pair.caller
        )


@contextmanager
def phone_rig(folder: Path, conf: Path = CONF) -> Iterator[PhoneRig]:
    it = PhoneRig(folder, conf)
    try:
        it.rig.switch.start()
        it.rig.start_daemon()
        yield it
    finally:
        it.exchange.stop()
        it.rig.kill_daemon()
        it.rig.switch.stop()
