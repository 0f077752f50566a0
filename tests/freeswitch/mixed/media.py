"""The audio of many phones on one clock: prepared RTP packets, sent and received in batches (``sendmmsg``,
``recvmmsg``), so that hundreds of phones cost a fraction of a core."""

from __future__ import annotations

import contextlib
import ctypes
import random
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.freeswitch.mixed.signals import FRAME, Run, Word, heard_in, payload

HOST = "127.0.0.1"
TICK_S = 0.02
HEAD = 12
SLOTS = 64
WIDTH = 256
"""Telephones a socket, and bytes that are kept of a packet."""

TELEPHONE_EVENT = 101
PRESS_TICKS = 6


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.POINTER(_Iovec)),
        ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )  # fmt: skip


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint))


_libc = ctypes.CDLL(None, use_errno=True)
ADDRESS = 16


class _Batch:
    """Buffers for packets and their addresses, in the kernel's layout."""

    def __init__(self, width: int) -> None:
        self.content = np.zeros((SLOTS, width), dtype=np.uint8)
        self.addresses = np.zeros((SLOTS, ADDRESS), dtype=np.uint8)
        self._iovecs = (_Iovec * SLOTS)()
        self.messages = (_Mmsghdr * SLOTS)()
        for slot in range(SLOTS):
            self._iovecs[slot] = _Iovec(self.content[slot].ctypes.data, width)
            header = self.messages[slot].header
            header.name, header.namelen = self.addresses[slot].ctypes.data, ADDRESS
            header.iov, header.iovlen = ctypes.pointer(self._iovecs[slot]), 1


@dataclass(eq=False)
class Leg:
    """A phone's end of a call's audio. ``word`` is what it says from now on (``None``: nothing); ``ear``
    and ``speech`` are runs in time order (seconds of the studio's clock)."""

    bank: Bank
    who: int
    codec: int
    port: int
    word: Word | None = None
    tones: Counter[int] = field(default_factory=Counter)
    last: dict[int, float] = field(default_factory=dict)
    """When each code was heard last."""
    speech: list[list[float]] = field(default_factory=list)
    ear: list[list[float]] = field(default_factory=list)
    number: int = field(default_factory=lambda: random.getrandbits(15))
    at: int = field(default_factory=lambda: random.getrandbits(30))
    source: int = field(default_factory=lambda: random.getrandbits(32))
    presses: list[bytes] = field(default_factory=list)
    pressed_at: int = 0
    address: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.address = np.frombuffer(
            struct.pack("=H", socket.AF_INET) + struct.pack(">H", self.port) + socket.inet_aton(HOST),
            np.uint8,
        )

    def press(self, keys: str) -> None:
        """Send RTP events (RFC 4733), one per key, and no audio meanwhile."""
        for key in keys:
            event = "0123456789*#".index(key)
            lengths = [160 * (tick + 1) for tick in range(PRESS_TICKS)]
            self.presses += [struct.pack(">BBH", event, 10, each) for each in lengths]
            self.presses += [struct.pack(">BBH", event, 0x8A, lengths[-1])] * 3 + [b""] * 4

    def hears(self, code: int, tone: int, now: float) -> None:
        if tone:
            self.tones[tone] += 1
        if code < 0:
            return
        self.last[code] = now
        _extend(self.ear, code, now)


def _extend(found: list[list[float]], code: int, now: float) -> None:
    if found and found[-1][0] == code and now - found[-1][2] < 1.0:
        found[-1][2] = now + TICK_S
        found[-1][3] += 1
    else:
        found.append([code, now, now + TICK_S, 1])


def as_runs(found: list[list[float]], fewest: int = 2) -> tuple[Run, ...]:
    """Return a leg's notes as runs, without those heard for less than ``fewest`` frames."""
    each = ((Word.of(int(code)), begin, end, int(frames)) for code, begin, end, frames in found)
    return tuple(
        Run(word, begin, end, frames)
        for word, begin, end, frames in each
        if word is not None and frames >= fewest
    )


class Bank:
    """One socket for as many phones as it has slots."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.sock.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
        self.sock.bind((HOST, 0))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.slots_in_use = 0
        self.legs: list[Leg] = []
        self._by_port: dict[int, Leg] = {}
        self._out, self._in = _Batch(HEAD + FRAME), _Batch(WIDTH)
        self._known: dict[tuple[int, bytes], tuple[int, int]] = {}
        self.strays = 0

    def add(self, who: int, codec: int, port: int) -> Leg:
        leg = Leg(self, who, codec, port)
        self.legs.append(leg)
        self._by_port[port] = leg
        return leg

    def remove(self, leg: Leg) -> None:
        if leg in self.legs:
            self.legs.remove(leg)
            if self._by_port.get(leg.port) is leg:
                del self._by_port[leg.port]

    def send(self, now: float) -> None:
        """Send every phone's packet of this tick."""
        count = 0
        for leg in self.legs:
            leg.number = leg.number + 1 & 0xFFFF
            leg.at = leg.at + FRAME & 0xFFFFFFFF
            if leg.presses:
                self._press(leg)
                continue
            if leg.word is not None:
                _extend(leg.speech, leg.word.code, now)
            packet = struct.pack(">BBHII", 0x80, leg.codec, leg.number, leg.at, leg.source)
            self._out.content[count] = np.frombuffer(packet + payload(leg.word, leg.codec), dtype=np.uint8)
            self._out.addresses[count, :8] = leg.address
            count += 1
        sent_count = 0
        while sent_count < count:
            place = ctypes.byref(self._out.messages, sent_count * ctypes.sizeof(_Mmsghdr))
            packets = _libc.sendmmsg(self.sock.fileno(), place, count - sent_count, 0)
            sent_count += max(packets, 1)  # one that cannot be sent is lost, as on any network

    def _press(self, leg: Leg) -> None:
        content = leg.presses.pop(0)
        if not content:
            return
        first = content[2:] == b"\x00\xa0" and not content[1] & 0x80
        if first:
            leg.pressed_at = leg.at
        kind = TELEPHONE_EVENT | (0x80 if first else 0)
        head = struct.pack(">BBHII", 0x80, kind, leg.number, leg.pressed_at, leg.source)
        with contextlib.suppress(OSError):
            self.sock.sendto(head + content, (HOST, leg.port))

    def receive(self, now: float) -> None:
        """Receive all pending packets."""
        while True:
            count = _libc.recvmmsg(self.sock.fileno(), self._in.messages, SLOTS, socket.MSG_DONTWAIT, None)
            if count <= 0:
                return
            self._count_taken(count, now)
            if count < SLOTS:
                return

    def _count_taken(self, count: int, now: float) -> None:
        content = self._in.content[:count].tobytes()
        ports = self._in.addresses[:count, 2:4].copy().view(">u2").ravel().tolist()
        for at, port in enumerate(ports):
            leg = self._by_port.get(port)
            start = at * WIDTH
            codec = content[start + 1] & 0x7F
            if leg is None or codec not in (0, 8) or self._in.messages[at].length != HEAD + FRAME:
                self.strays += leg is None
                continue
            key = (codec, content[start + HEAD : start + HEAD + FRAME])
            known = self._known.get(key)
            if known is None:
                codes, tones = heard_in([key[1]], codec)
                known = int(codes[0]), int(tones[0])
                if len(self._known) < 100_000:
                    self._known[key] = known
            leg.hears(*known, now)


class Studio:
    """All banks, and their clock."""

    def __init__(self) -> None:
        self.banks: list[Bank] = []
        self.start_time = time.monotonic()
        self.latest = 0.0
        self.late = 0
        self.ticks = 0

    @property
    def now(self) -> float:
        return time.monotonic() - self.start_time

    def bank(self) -> Bank:
        """Return a bank with a free slot; the caller releases it (``taken``)."""
        found = next((bank for bank in self.banks if bank.slots_in_use < SLOTS // 2), None)
        if found is None:
            found = Bank()
            self.banks.append(found)
        found.slots_in_use += 1
        return found

    def tick(self, due: float) -> None:
        late = self.now - due
        self.latest = max(self.latest, late)
        self.late += late > TICK_S
        self.ticks += 1
        for bank in self.banks:
            bank.send(self.now)
        for bank in self.banks:
            bank.receive(self.now)
