"""How much later the announcement starts than in a dialplan that does the same by itself.

    ACCORD_FREESWITCH=/usr/bin/freeswitch python -m bench.announce [calls]

A real FreeSWITCH, with SIP and RTP on loopback. Calls alternate: one is answered, recorded and announced by
the bare dialplan, the next by the daemon. Measured from the INVITE to the first packet with sound. The
promise is at most one media tick (20 ms) by the median.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

from tests.freeswitch.switches import CONF, NUMBER, Rig, binary

TICK = 20.0
"""Milliseconds of a media tick."""

BARE = f"{NUMBER}97"

DIALPLAN = f"""<include>
  <extension name="bare"><condition field="destination_number" expression="^{BARE}$">
    <action application="set" data="playback_terminators=none"/>
    <action application="answer"/>
    <action application="record_session" data="AUDIO/bare-${{uuid}}.wav {{RECORD_STEREO=true,enable_file_write_buffering=false}}"/>
    <action application="playback" data="PROMPT"/>
    <action application="hangup"/>
  </condition></extension>
</include>
"""  # noqa: E501


def main(calls: int) -> int:
    """Measure and print a table; 1 if the promise is broken."""
    if binary() is None:
        print("no FreeSWITCH: set ACCORD_FREESWITCH to its binary, or put it on the PATH")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="accord-bench-"))
    conf = folder / "conf"
    shutil.copytree(CONF, conf)
    rig = Rig(folder / "rig", conf, real_time=False)
    prompt = next((rig.snapshot / "prompts").glob("*.wav"))
    bare = DIALPLAN.replace("AUDIO", str(folder)).replace("PROMPT", str(prompt))
    (conf / "dialplan/public/00_a_bare.xml").write_text(bare)
    delays: dict[str, list[float]] = {BARE: [], f"{NUMBER}01": []}
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        telephone = Telephone(rig.sip_port)
        for turn in range(2 * calls + 2):
            number = BARE if turn % 2 else f"{NUMBER}01"
            delay = telephone.call(number)
            rig.switch.wait_empty()
            time.sleep(random.uniform(0.05, 0.09))  # out of step with the switch's ticks
            if turn > 1:  # the first call of each kind warms up the files
                delays[number].append(delay)
    finally:
        rig.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return _table(delays[BARE], delays[f"{NUMBER}01"])


class Telephone:
    """A minimal telephone: it sends an INVITE and detects when sound starts.

    FreeSWITCH's own times and its event socket have a resolution of one tick (20 ms), so the delay is
    measured at the caller: from the INVITE to the first packet with sound.
    """

    def __init__(self, port: int) -> None:
        self._there = ("127.0.0.1", port)
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for sock in (self._sip, self._rtp):
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(10)

    def call(self, number: str) -> float:
        """Call, listen, hang up; milliseconds until sound started."""
        self._drain()
        call = uuid.uuid4().hex
        start = time.perf_counter()
        self._send("INVITE", number, call, "")
        threading.Thread(target=self._answered, args=(number, call), daemon=True).start()
        while True:
            packet = self._rtp.recv(2048)
            if len(set(packet[12:]) - {0xFF, 0x7F, 0xFE, 0x7E}) > 2:
                sounded_at = time.perf_counter()
                break
        self._acknowledged.wait(5)
        self._send("BYE", number, call, self._tag, 2)
        return 1000 * (sounded_at - start)

    _tag = ""
    _acknowledged = threading.Event()

    def _answered(self, number: str, call: str) -> None:
        self._acknowledged.clear()
        while True:
            answer = self._sip.recv(65535).decode()
            if answer.startswith("SIP/2.0 200") and call in answer and "CSeq: 1 INVITE" in answer:
                break
        self._tag = next(line for line in answer.split("\r\n") if line.startswith("To:")).partition(";tag=")[
            2
        ]
        self._send("ACK", number, call, self._tag)
        self._acknowledged.set()

    def _drain(self) -> None:
        for sock in (self._sip, self._rtp):
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    sock.recv(65535)
            sock.settimeout(10)

    def _send(self, method: str, number: str, call: str, tag: str, sequence: int = 1) -> None:
        me = self._sip.getsockname()[1]
        body = ""
        if method == "INVITE":
            body = (
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                f"m=audio {self._rtp.getsockname()[1]} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
            )
        head = (
            f"{method} sip:{number}@127.0.0.1:{self._there[1]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{me};branch=z9hG4bK{uuid.uuid4().hex}\r\nMax-Forwards: 9\r\n"
            f"From: <sip:3247000000@127.0.0.1>;tag={call[:8]}\r\n"
            f"To: <sip:{number}@127.0.0.1>{';tag=' + tag if tag else ''}\r\n"
            f"Call-ID: {call}\r\nCSeq: {sequence} {method}\r\nContact: <sip:me@127.0.0.1:{me}>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._sip.sendto((head + body).encode(), self._there)


def _table(bare: list[float], accord: list[float]) -> int:
    print(f"{'':24}{'median ms':>10}{'p95 ms':>10}{'worst ms':>10}{'calls':>8}")
    for name, values in (("bare dialplan", bare), ("accord", accord)):
        p95 = statistics.quantiles(values, n=20)[-1]
        print(f"{name:24}{statistics.median(values):10.1f}{p95:10.1f}{max(values):10.1f}{len(values):8}")
    later = statistics.median(accord) - statistics.median(bare)
    ratio = statistics.median(accord) / statistics.median(bare)
    print(f"\naccord starts {later:.1f} ms later (promised: at most {TICK:.0f}), {ratio:.2f} times")
    return 0 if later <= TICK else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 40))
