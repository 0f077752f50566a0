"""Phones of a test with their own SIP and RTP, so that every packet and its time is known.

All speak on one clock. Caller and called phone send at the same moments, so their positions in a recording
show whether its channels are in sync."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
import re
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from tests.freeswitch.process import real_time
from tests.freeswitch.telephones.codecs import PCMU, TICK_MS, Codec, Speaker, Voice, tones
from tests.freeswitch.telephones.srtp import SUITE, Protector, new_key

COMFORT_NOISE = 13
EVENT = 101
KEYS = "0123456789*#ABCD"
"""Each key's place is its number as an event (RFC 4733)."""
HOST = "127.0.0.1"
FAX_PACKET = bytes([1, 2, 0, 0])
"""UDPTL, after its number: one indicator (CNG), and nothing of before again."""
Weather = Callable[[int, random.Random], float | None]
"""For a tick: how many seconds later its packet arrives, ``None`` where it is lost."""


def fair(_tick: int, _chance: random.Random) -> float | None:
    return 0.0


def loses(share: float) -> Weather:
    """Lose this share of packets at random."""
    return lambda _tick, chance: None if chance.random() < share else 0.0


def bursts(every_s: float, length_s: float) -> Weather:
    """Lose all packets for a time, repeatedly."""
    period, loss = int(every_s * 1000 / TICK_MS), int(length_s * 1000 / TICK_MS)
    return lambda tick, _chance: None if tick % period >= period - loss else 0.0


def jitters(most_s: float) -> Weather:
    """Delay each packet randomly, so that some overtake others."""
    return lambda _tick, chance: chance.random() * most_s


@dataclass
class Leg:
    """One telephone's end of a call's sound.  ``ear`` keeps what comes, where it is a list: the number of
    each packet's payload, and that (of a fax 0, and what follows the packet's number).  ``faxes``: it takes
    an offer to go on as a fax (T.38); ``image``: it does so, and there is no sound."""

    codec: Codec
    voice: Speaker
    weather: Weather = fair
    secure: bool = False
    speaks: bool = True
    comfort: bool = False
    to: tuple[str, int] | None = None
    packet_count: int = 0
    ear: list[tuple[int, bytes]] | None = None
    faxes: bool = False
    image: bool = False
    sock: socket.socket = field(init=False)
    _source: int = field(default_factory=lambda: random.getrandbits(32))
    _number: int = -1
    _quiet: bool = False
    _tones: list[tuple[int, int, bytes]] = field(default_factory=list)
    _protector: Protector | None = None
    _chance: random.Random = field(default_factory=lambda: random.Random(20261125))

    def __post_init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        if self.secure:
            self._key = new_key()
            self._protector = Protector(self._key)

    def describe(self, codecs: tuple[Codec, ...], direction: str = "sendrecv") -> str:
        """Return SDP for these codecs."""
        port = self.sock.getsockname()[1]
        payloads = " ".join(str(codec.payload) for codec in codecs)
        noise = f" {COMFORT_NOISE}" if self.comfort else ""
        lines = [
            "v=0",
            f"o=- {port} {time.time_ns() // 1000} IN IP4 {HOST}",
            "s=-",
            f"c=IN IP4 {HOST}",
            "t=0 0",
        ]
        lines.append(f"m=audio {port} RTP/{'S' if self.secure else ''}AVP {payloads} 101{noise}")
        for codec in codecs:
            lines += codec.lines()
        lines += ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", f"a=ptime:{TICK_MS}"]
        if self.comfort:
            lines.append(f"a=rtpmap:{COMFORT_NOISE} CN/8000")
        if self.secure:
            lines.append(f"a=crypto:1 {SUITE} inline:{self._key}")
        return "\r\n".join([*lines, f"a={direction}", ""])

    def answered(self, sdp: str, offered: tuple[Codec, ...]) -> None:
        """Read the peer's answer: its address and codec."""
        media = re.search(r"m=audio (\d+) \S+ (\d+)", sdp)
        assert media is not None, sdp
        self.codec = next(codec for codec in offered if codec.payload == int(media[2]))
        self.to = (HOST, int(media[1]))

    def offer(self, sdp: str) -> str:
        """Return the answer to an offer: in this phone's codec, or as a fax if offered one."""
        if self.faxes and "m=image" in sdp:
            self.answered_image(sdp)
            return self.describe_image()
        media = re.search(r"m=audio (\d+)", sdp)
        assert media is not None, sdp
        self.codec = _of_offer(sdp, self.codec)
        self.image, self.to = False, (HOST, int(media[1]))
        return self.describe((self.codec,))

    def describe_image(self) -> str:
        """Return SDP for a fax (T.38 by UDPTL), from the audio's port."""
        port = self.sock.getsockname()[1]
        lines = [
            "v=0", f"o=- {port} {time.time_ns() // 1000} IN IP4 {HOST}", "s=-", f"c=IN IP4 {HOST}", "t=0 0",
            f"m=image {port} udptl t38", "a=T38FaxVersion:0", "a=T38MaxBitRate:14400",
            "a=T38FaxRateManagement:transferredTCF", "a=T38FaxMaxDatagram:400",
            "a=T38FaxUdpEC:t38UDPRedundancy", "",
        ]  # fmt: skip
        return "\r\n".join(lines)

    def answered_image(self, sdp: str) -> None:
        """Send a fax instead of audio from now on."""
        media = re.search(r"m=image (\d+)", sdp)
        assert media is not None, sdp
        self.image, self.to = True, (HOST, int(media[1]))

    def tick(self, tick: int) -> list[tuple[float, bytes]]:
        """Return the packets of this tick, each with its delay in seconds."""
        if self.to is None:
            return []
        if self.image:
            return [(0.0, struct.pack(">H", tick & 0xFFFF) + FAX_PACKET)]
        self._number += 1
        if self._tones:
            since, payload, content = self._tones.pop(0)
            return [(0.0, self._packet(payload, tick - since, content))] if content else []
        if not self.speaks:
            quiet, self._quiet = self._quiet, True
            if self.comfort and not quiet:
                return [(0.0, self._packet(COMFORT_NOISE, tick, bytes([70])))]
            return []
        marker = 0x80 if self._quiet or self._number == 0 else 0
        self._quiet = False
        packet = self._packet(self.codec.payload | marker, tick, self.voice.payload(self.codec, tick))
        late = self.weather(tick, self._chance)
        return [] if late is None else [(late, packet)]

    def dial(self, digits: str) -> None:
        """Dial by RFC 2833 events of 160 ms each, without audio meanwhile."""
        packets: list[tuple[int, int, bytes]] = []
        for digit in digits:
            for tick in range(8):
                last = tick == 7
                event = struct.pack(
                    ">BBH", KEYS.index(digit), 0x8A if last else 0x0A, self.codec.step * (tick + 1)
                )
                packets += [(tick, EVENT | (0 if tick else 0x80), event)]
            packets += [(8, EVENT, event), (9, EVENT, event)]  # its end is said three times
            packets += [(0, 0, b"")] * 5
        self._tones = packets

    def sings(self, digits: str) -> None:
        """Dial by tones in the audio, of 200 ms each."""
        packets: list[tuple[int, int, bytes]] = []
        for digit in digits:
            packets += [(0, self.codec.payload, each) for each in tones(self.codec, digit)]
            packets += [(0, 0, b"")] * 5
        self._tones = packets

    def _packet(self, payload: int, tick: int, content: bytes) -> bytes:
        at = tick * self.codec.step & 0xFFFFFFFF
        head = struct.pack(">BBHII", 0x80, payload, self._number & 0xFFFF, at, self._source)
        packet = head + content
        return packet if self._protector is None else self._protector.protect(packet)

    def listen(self) -> None:
        """Receive packets, and count them."""
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                packet = self.sock.recv(2048)
                self.packet_count += 1
                if self.ear is not None:
                    self.ear.append((0, packet[2:]) if self.image else (packet[1] & 0x7F, packet[12:]))


class Studio:
    """Sends the packets of all legs, tick by tick, on one clock."""

    def __init__(self) -> None:
        self.start_time = time.time()
        self.first_tick = time.monotonic()
        """The moment of the first tick."""
        self.latest = 0.0
        self._legs: list[Leg] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, leg: Leg) -> None:
        self._legs.append(leg)

    def remove(self, leg: Leg) -> None:
        if leg in self._legs:
            self._legs.remove(leg)
            leg.sock.close()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        with real_time():
            self._speak()

    def _speak(self) -> None:
        order = itertools.count()
        queue: list[tuple[float, int, Leg, bytes]] = []
        for tick in itertools.count():
            due = self.first_tick + tick * TICK_MS / 1000
            while (now := time.monotonic()) < due:
                self._deliver(queue, now)
                time.sleep(min(due - now, 0.004 if queue else 0.02))
            if self._over.is_set():
                return
            self.latest = max(self.latest, now - due)
            for leg in list(self._legs):
                for late, packet in leg.tick(tick):
                    heapq.heappush(queue, (due + late, next(order), leg, packet))
                with contextlib.suppress(OSError):
                    leg.listen()
            self._deliver(queue, time.monotonic())

    @staticmethod
    def _deliver(queue: list[tuple[float, int, Leg, bytes]], now: float) -> None:
        while queue and queue[0][0] <= now:
            _, _, leg, packet = heapq.heappop(queue)
            with contextlib.suppress(OSError):  # its call is over
                assert leg.to is not None
                leg.sock.sendto(packet, leg.to)


@dataclass
class Dialogue:
    """One end of a call."""

    exchange: Exchange
    leg: Leg
    call: str
    local: str
    remote: str
    target: str
    peer: tuple[str, int]
    sequence: int = 1
    state: str = "calling"
    offered: tuple[Codec, ...] = ()
    codes: list[int] = field(default_factory=list)
    answered_at: float = 0.0
    """When the last INVITE was answered, by the monotonic clock."""

    def wait(self, state: str, seconds: float = 15) -> None:
        end = time.monotonic() + seconds
        while self.state != state:
            assert time.monotonic() < end, f"{self.call} is {self.state}, not {state}: {self.codes}"
            time.sleep(0.01)

    def invite(self, codecs: tuple[Codec, ...], direction: str = "sendrecv") -> None:
        """Offer these codecs, and wait for the answer."""
        self.sequence += 1
        self.state, self.offered = "offering", codecs
        self._request("INVITE", self.leg.describe(codecs, direction))
        self.wait("talking")

    def hold(self) -> None:
        self.leg.speaks = False
        self.invite((self.leg.codec,), "sendonly")

    def unhold(self) -> None:
        self.invite((self.leg.codec,))
        self.leg.speaks = True

    def fax(self) -> int:
        """Offer T.38; return the answer's code. If refused, audio continues."""
        self.sequence += 1
        self.state = "faxing"
        self._request("INVITE", self.leg.describe_image())
        self.wait("talking")
        return self.codes[-1]

    def refer(self, number: str) -> None:
        """Transfer the peer to a number."""
        self.sequence += 1
        self._request("REFER", more=[f"Refer-To: <sip:{number}@{self.peer[0]}:{self.peer[1]}>"])

    def info(self, digits: str) -> None:
        """Send each digit by SIP INFO."""
        for digit in digits:
            self.sequence += 1
            self._request("INFO", f"Signal={digit}\r\nDuration=160\r\n", kind="application/dtmf-relay")
            time.sleep(0.25)

    def bye(self) -> None:
        if self.state != "over":
            self.sequence += 1
            self._request("BYE")
            self.end()

    def end(self) -> None:
        self.state = "over"
        self.exchange.studio.remove(self.leg)

    def _request(
        self,
        method: str,
        body: str = "",
        sequence: int | None = None,
        kind: str = "application/sdp",
        more: Iterable[str] = (),
    ) -> None:
        self.exchange.send(
            [
                f"{method} {self.target} SIP/2.0",
                f"Via: SIP/2.0/UDP {HOST}:{self.exchange.port};branch=z9hG4bK{uuid.uuid4().hex}",
                "Max-Forwards: 70",
                f"From: {self.local}",
                f"To: {self.remote}",
                f"Call-ID: {self.call}",
                f"CSeq: {self.sequence if sequence is None else sequence} {method}",
                f"Contact: <sip:phone@{HOST}:{self.exchange.port}>",
                *more,
            ],
            body,
            self.peer,
            kind,
        )

    def answer(self, fields: dict[str, str], code: int, body: str) -> None:
        """Wait for the switch's answer to a request."""
        number, _, method = fields["cseq"].partition(" ")
        if method != "INVITE" or code < 200:
            return
        self.codes.append(code)
        self.answered_at = time.monotonic()
        self.remote = fields["to"]
        if "contact" in fields:
            found = re.search(r"<([^>]+)>", fields["contact"])
            self.target = found[1] if found else self.target
        self._request("ACK", sequence=int(number))
        if code >= 300:
            self.state = "talking" if self.state == "faxing" else "refused"
            return
        if self.state == "faxing":
            self.leg.answered_image(body)
            self.state = "talking"
        elif self.state in ("calling", "offering"):
            self.leg.answered(body, self.offered)
            if self.state == "calling":
                self.exchange.studio.add(self.leg)
            self.state = "talking"


class Exchange:
    """The phones' SIP: calls the switch, and answers its calls."""

    def __init__(self, switch_port: int) -> None:
        self.studio = Studio()
        self.switch = (HOST, switch_port)
        self.dialogues: dict[str, Dialogue] = {}
        self.callee_leg: Callable[[str], Leg] = lambda number: Leg(PCMU, Voice(1, 10))
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((HOST, 0))
        self.port = self.sock.getsockname()[1]
        self.sock.settimeout(0.2)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def call(
        self, number: str, caller: str, leg: Leg, codecs: tuple[Codec, ...] = (), port: int = 0
    ) -> Dialogue:
        """Place a call, by another port of the switch if given; return at once."""
        ident, codecs = uuid.uuid4().hex, codecs or (leg.codec,)
        switch = (HOST, port or self.switch[1])
        dialogue = Dialogue(
            self, leg, ident, f'"{caller}" <sip:{caller}@{HOST}>;tag={ident[:8]}', f"<sip:{number}@{HOST}>",
            f"sip:{number}@{HOST}:{switch[1]}", switch, offered=codecs,
        )  # fmt: skip
        self.dialogues[ident] = dialogue
        dialogue._request("INVITE", leg.describe(codecs))
        return dialogue

    def stop(self) -> None:
        for dialogue in list(self.dialogues.values()):
            dialogue.bye()
        self._over.set()
        self._thread.join(10)
        self.studio.stop()
        self.sock.close()

    def send(self, head: list[str], body: str, to: tuple[str, int], kind: str = "application/sdp") -> None:
        lines = [
            *head,
            *([f"Content-Type: {kind}"] if body else []),
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        self.sock.sendto("\r\n".join(lines).encode(), to)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                content, peer = self.sock.recvfrom(65536)
            except (TimeoutError, ConnectionRefusedError):
                continue
            head, _, body = content.decode("utf-8", "replace").partition("\r\n\r\n")
            first, *lines = head.split("\r\n")
            fields_of_lines = [line.partition(":") for line in lines]
            fields = {name.strip().lower(): value.strip() for name, _, value in fields_of_lines}
            if first.startswith("SIP/2.0 "):
                dialogue = self.dialogues.get(fields["call-id"])
                if dialogue is not None:
                    dialogue.answer(fields, int(first.split()[1]), body)
            else:
                vias = [
                    value.strip()
                    for name, _, value in fields_of_lines
                    if name.strip().lower() in ("via", "v")
                ]
                self._on_request(first, fields, vias, body, peer)

    def _on_request(
        self, first: str, fields: dict[str, str], vias: list[str], body: str, peer: tuple[str, int]
    ) -> None:
        method, target, _ = first.split()
        if method == "ACK":
            return
        dialogue = self.dialogues.get(fields["call-id"])
        sdp = ""
        if method == "INVITE" and dialogue is None:
            number = target.partition(":")[2].partition("@")[0]
            leg = self.callee_leg(number)
            local = f"{fields['to']};tag={uuid.uuid4().hex[:8]}"
            contact = re.search(r"<([^>]+)>", fields["contact"])
            assert contact is not None
            dialogue = Dialogue(self, leg, fields["call-id"], local, fields["from"], contact[1], peer)
            self.dialogues[fields["call-id"]] = dialogue
            self.studio.add(leg)
            dialogue.state = "talking"
        answer = "200 OK"
        if dialogue is not None and method == "INVITE":
            try:
                sdp = dialogue.leg.offer(body)
            except AssertionError as error:
                answer = f"488 {str(error).splitlines()[0]}"
        to = dialogue.local if dialogue is not None else f"{fields['to']};tag=x"
        if dialogue is not None and dialogue.local.startswith('"'):
            to = fields["to"]
        head = [f"SIP/2.0 {answer}", *(f"Via: {via}" for via in vias), f"From: {fields['from']}", f"To: {to}"]
        head += [f"Call-ID: {fields['call-id']}", f"CSeq: {fields['cseq']}"]
        head += [f"Contact: <sip:phone@{HOST}:{self.port}>"]
        self.send(head, sdp, peer)
        if method == "BYE" and dialogue is not None:
            dialogue.end()


def _of_offer(sdp: str, codec: Codec) -> Codec:
    """Return this codec with the payload type of an offer."""
    media = re.search(r"m=audio \d+ \S+ ([\d ]+)", sdp)
    assert media is not None, sdp
    known = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000"}
    known |= dict(re.findall(r"a=rtpmap:(\d+) (\S+)", sdp))
    numbers = [each for each in media[1].split() if known.get(each, "").lower() == codec.spoken.lower()]
    assert numbers, f"{codec.spoken} is not in {sdp}"
    return replace(codec, payload=int(numbers[0]))
