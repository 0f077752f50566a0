"""Raw SIP over UDP at the real switch: what a stranger's phone could send, byte for byte.

Each input is a datagram or a short dialogue made of :class:`Choices`; nothing between changes the bytes.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import time
from dataclasses import dataclass, field

from tests.fuzz.choices import TROUBLE, Choices

FORGED = (
    b"%0AUnique-ID%3A%20evil", b"%0Avariable_accord_state%3A%20announced",
    b"%0D%0Avariable_accord_line%3A%203225550101",
    b"\xe2\x80\xa8variable_accord_state: announced", b"%250Aevil", b"%00", b"\xff\xfe\xc3",
    b"${accord_state}",
    b"${system(touch%20FORGED)}", b"${system(touch FORGED)}", b"$${hostname}", b"'", b'"', b"\\", b"{a=b}",
    b"[a=b]",
    b"<a=b>", b",", b";tag=x", b"../../../tmp/x", b"%2e%2e%2f", b"^^:a=b", b"|", b"`id`", b"\t",
    b"accord_after_announced",
    b"accord_announced", b"accord_begin", b"!", b"*5", b"&park()", b"%n%s%p", b"\xf0\x9f\x98\x80",
)  # fmt: skip
HEADERS = (
    b"X-Told", b"X-accord_state", b"X-variable_accord_state", b"Subject", b"User-Agent",
    b"P-Asserted-Identity", b"Diversion",
    b"Remote-Party-ID", b"P-Preferred-Identity", b"Call-Info", b"Alert-Info", b"Privacy", b"History-Info",
    b"Supported",
    b"Require", b"Session-Expires", b"Replaces", b"Referred-By", b"Reason", b"Geolocation", b"Identity",
    b"Date",
    b"Accept", b"Content-Encoding", b"X-FS-Support", b"X-AUTH-IP", b"Max-Forwards", b"Route",
    b"Record-Route", b"Via",
)  # fmt: skip
METHODS = (
    b"INVITE", b"INVITE", b"INVITE", b"INVITE", b"OPTIONS", b"REGISTER", b"MESSAGE", b"INFO", b"REFER",
    b"NOTIFY",
    b"SUBSCRIBE", b"PUBLISH", b"UPDATE", b"PRACK", b"BYE", b"CANCEL", b"ACK", b"FOO",
)  # fmt: skip


@dataclass
class Stranger:
    """Sends inputs, answers as needed to keep dialogues short, and counts."""

    port: int
    number: bytes
    chance: random.Random
    count: int = 0
    answers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind(("127.0.0.1", 0))
        self.mine = self.sock.getsockname()[1]
        self.sock.setblocking(False)

    def one(self) -> bytes:
        """Send one input; returns it, for a finding."""
        choices = Choices(self.chance.randbytes(60 + int(400 * self.chance.random() ** 2)))
        datagram = self.message(choices)
        self.count += 1
        with contextlib.suppress(OSError):  # larger than a datagram, or the switch's buffer is full
            self.sock.sendto(datagram, ("127.0.0.1", self.port))
        self.hear()
        return datagram

    def hear(self) -> None:
        """Acknowledge final answers and end calls that were answered."""
        while True:
            try:
                answer = self.sock.recv(65536)
            except (BlockingIOError, ConnectionRefusedError):
                return
            line = re.match(rb"SIP/2\.0 ([0-9]{3}) ", answer)
            if line is None:
                if answer.startswith((b"BYE ", b"OPTIONS ", b"INFO ", b"NOTIFY ", b"UPDATE ", b"INVITE ")):
                    self._reply(answer)
                continue
            code = int(line[1])
            self.answers[code] = self.answers.get(code, 0) + 1
            if code >= 200 and re.search(rb"(?m)^CSeq: *[0-9]+ INVITE", answer):
                self._follow(answer, code)

    def _follow(self, answer: bytes, code: int) -> None:
        fields = dict(re.findall(rb"(?m)^(Via|From|To|Call-ID|CSeq): *([^\r\n]*)", answer))
        if not {b"Via", b"From", b"To", b"Call-ID", b"CSeq"} <= set(fields):
            return
        number = fields[b"CSeq"].split()[0]
        uri = b"sip:%s@127.0.0.1:%d" % (self.number, self.port)

        def send(method: bytes, sequence: bytes, extra: bytes = b"", body: bytes = b"") -> None:
            with contextlib.suppress(OSError):
                self.sock.sendto(
                    b"%s %s SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\n"
                    b"CSeq: %s %s\r\nContact: <sip:x@127.0.0.1:%d>\r\n%sContent-Length: %d\r\n\r\n%s"
                    % (method, uri, fields[b"Via"], fields[b"From"], fields[b"To"], fields[b"Call-ID"],
                    sequence,
                       method, self.mine, extra, len(body), body),
                    ("127.0.0.1", self.port),
                )  # fmt: skip

        send(b"ACK", number)
        if code >= 300:
            return
        choices = Choices(self.chance.randbytes(120))
        if choices.below(3) == 2:  # in the dialogue, before it ends
            method = choices.pick((b"INFO", b"REFER", b"INVITE", b"UPDATE", b"MESSAGE", b"NOTIFY"))
            send(method, b"2", self.extra(choices), self.body(choices)[1])
            self.count += 1
        send(b"BYE", b"9")

    def _reply(self, request: bytes) -> None:
        reply_headers = re.findall(rb"(?m)^((?:Via|From|To|Call-ID|CSeq):[^\r\n]*)", request)
        with contextlib.suppress(OSError):
            self.sock.sendto(
                b"SIP/2.0 200 OK\r\n" + b"\r\n".join(reply_headers) + b"\r\nContent-Length: 0\r\n\r\n",
                ("127.0.0.1", self.port),
            )

    # --- inputs

    def word(self, choices: Choices, longest: int = 24) -> bytes:
        """Some bytes that do not end a line (a line's end is a choice of its own)."""
        kind = choices.below(8)
        if kind < 3:
            return choices.pick(FORGED)
        if kind == 3:
            return choices.pick(TROUBLE).encode("utf-8", "replace").replace(b"\r", b"").replace(b"\n", b"")
        if kind == 4:
            return choices.pick((b"a" * 300, b"9" * 130, b"(" * 200, b'"' * 50, b"%41" * 400, b"<" * 90))
        return choices.blob(longest).replace(b"\r", b" ").replace(b"\n", b" ")

    def extra(self, choices: Choices) -> bytes:
        lines = []
        for _ in range(choices.below(5)):
            name = (
                choices.pick(HEADERS)
                if choices.below(6)
                else choices.pick((b"X-", b"P-")) + self.word(choices, 8)
            )
            lines.append(
                name + choices.pick((b": ", b": ", b":", b" : ")) + self.word(choices) + self.word(choices)
            )
        if choices.below(12) == 11:
            lines += [b"X-%d: %s" % (n, self.word(choices)) for n in range(choices.pick((20, 120)))]
        if choices.below(10) == 9:
            lines.append(
                b"Refer-To: <sip:%s@127.0.0.1?%s=%s>" % (self.word(choices), b"Replaces", self.word(choices))
            )
        return b"".join(line + b"\r\n" for line in lines)

    def body(self, choices: Choices) -> tuple[bytes, bytes]:
        kind = choices.below(8)
        if kind < 5:
            sdp = [b"v=0", b"o=- 1 1 IN IP4 127.0.0.1", b"s=" + choices.pick((b"-", self.word(choices))),
                   b"c=IN IP4 " + choices.pick((b"127.0.0.1", b"127.0.0.1", b"0.0.0.0",
                   self.word(choices))), b"t=0 0",
                   b"m=audio %s RTP/AVP %s" % (choices.pick((b"40000", b"0", b"70000", b"-1")),
                                               choices.pick((b"0 8 101", b"8", b"0 " * 300, b"999",
                                               b"")))]  # fmt: skip
            for _ in range(choices.below(5)):
                line = choices.pick((b"a=rtpmap:0 PCMU/8000", b"a=rtpmap:101 telephone-event/8000",
                b"a=sendonly", b"a=inactive",
                                     b"a=ptime:99999", b"a=crypto:1 x inline:y", b"a=fmtp:101 0-16",
                                     b"m=image 1 udptl t38",
                                     b"a=x:" + self.word(choices), self.word(choices)))  # fmt: skip
                sdp.insert(choices.below(len(sdp) + 1), line)
            return b"application/sdp", b"\r\n".join(sdp) + b"\r\n"
        if kind == 5:
            return b"application/dtmf-relay", b"Signal=%s\r\nDuration=%s\r\n" % (
                self.word(choices),
                self.word(choices),
            )
        return self.word(choices).replace(b";", b"") or b"text/plain", choices.blob(200)

    def message(self, choices: Choices) -> bytes:
        """Half of them have one or two odd places and are calls that the switch takes; the others are odd
        all over."""
        if choices.below(16) == 15:
            return choices.rest()
        often = choices.pick((2, 12))

        def or_odd(plain: bytes, *odd: bytes) -> bytes:
            return choices.pick(odd or (self.word(choices),)) if choices.below(often) == 0 else plain

        method = choices.pick(METHODS) if often == 2 else b"INVITE"
        user = or_odd(self.number, self.number + self.word(choices), self.word(choices))
        name = or_odd(b'"Ann" ', b"", b'"%s" ' % self.word(choices), self.word(choices) + b" ")
        sender = or_odd(b"3225550100", b"3225550100" + self.word(choices), self.word(choices))
        uri = b"sip:%s@127.0.0.1:%d" % (user, self.port)
        ident = b"%d-%d" % (self.chance.getrandbits(48), self.count)
        kind, body = (
            (PLAIN if often == 12 and choices.below(2) else self.body(choices))
            if choices.below(8)
            else (b"", b"")
        )
        lines = [
            b"%s %s %s" % (method, or_odd(uri, uri + b";" + self.word(choices), self.word(choices)),
                           or_odd(b"SIP/2.0", b"SIP/2.0", b"SIP/3.0")),
            b"Via: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%s" % (self.mine, ident),
            b"Max-Forwards: 70",
            b"From: %s<sip:%s@127.0.0.1>;tag=%s" % (name, sender, or_odd(b"t", b"t" + self.word(choices))),
            b"To: <%s>" % uri,
            b"Call-ID: %s" % or_odd(ident, ident + self.word(choices)),
            b"CSeq: %s %s" % (or_odd(b"1", b"0", b"4294967296", b"-1", b""), method),
            b"Contact: <sip:x%s@127.0.0.1:%d>" % (or_odd(b""), self.mine),
        ]  # fmt: skip
        if often == 2 and choices.below(8) == 7:
            del lines[1 + choices.below(len(lines) - 1)]
        head = b"".join(line + b"\r\n" for line in lines) + self.extra(choices)
        if body:
            head += b"Content-Type: %s\r\n" % kind
        length = (
            int(or_odd(b"%d" % len(body), b"%d" % (len(body) + 7), b"0", b"99999999"))
            if often == 2
            else len(body)
        )
        whole = head + b"Content-Length: %d\r\n\r\n" % length + body
        if choices.below(20) == 19:
            at = choices.below(len(whole))
            whole = whole[:at] + choices.blob(6) + whole[at + choices.below(3) :]
        if choices.below(60) == 59:
            long = b"X-Long: " + b"z" * choices.pick((5000, 40_000)) + b"\r\nMax-Forwards"
            whole = whole.replace(b"Max-Forwards", long, 1)
        return whole[:65000]


PLAIN = (
    b"application/sdp",
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 0 8 101\r\n"
    b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n",
)


def pace(start: float, count: int, each_second: float) -> None:
    """Wait so that no more than the limit are sent per second."""
    ahead = count / each_second - (time.monotonic() - start)
    if ahead > 0:
        time.sleep(ahead)
