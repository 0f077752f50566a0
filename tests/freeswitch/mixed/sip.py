"""The phones' SIP on one port: they call the switch, answer, hold, transfer and hang up."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import quote

from tests.freeswitch.mixed.media import HOST, TELEPHONE_EVENT, Bank, Leg, Studio
from tests.freeswitch.mixed.plan import Party

NAMES = {0: "PCMU", 8: "PCMA"}
PATIENCE_S = 30.0


class CallError(Exception):
    """A phone could not perform an act of its plan."""


@dataclass(eq=False)
class Dialogue:
    """One end of a call. ``over`` is set once it has ended."""

    phones: Telephones
    party: Party
    call: str
    local: str
    remote: str
    target: str
    peer: tuple[str, int]
    bank: Bank
    sequence: int = 1
    leg: Leg | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    transferred: asyncio.Event = field(default_factory=asyncio.Event)
    _answer: asyncio.Future[int] | None = None
    invited: tuple[list[str], dict[str, str]] | None = None
    _branch: str = ""

    @property
    def sound(self) -> Leg:
        """The audio leg. Raises :class:`CallError` if there is none."""
        if self.leg is None or self.over.is_set():
            raise CallError(f"{self.party.number} is in no call")
        return self.leg

    # --- what the telephone does

    async def invite(self, direction: str = "sendrecv") -> None:
        """Send INVITE or re-INVITE; returns once it is answered."""
        self.sequence += 1
        self._answer = asyncio.get_running_loop().create_future()
        self.request("INVITE", self._sdp(direction))
        try:
            code = await asyncio.wait_for(asyncio.shield(self._answer), PATIENCE_S)
        except TimeoutError:
            raise CallError(f"{self.party.number}: no answer to INVITE") from None
        if code >= 300:
            raise CallError(f"{self.party.number}: INVITE was answered {code}")

    def refer(self, number: str, replaced: Dialogue | None = None) -> None:
        """Transfer the peer to a number or, with Replaces, to the peer of another call."""
        target = f"sip:{number}@{self.peer[0]}:{self.peer[1]}"
        if replaced is not None:
            tags = [re.search(r"tag=([^;>]+)", each) for each in (replaced.remote, replaced.local)]
            to, own = (tag[1] if tag else "" for tag in tags)
            target += f"?Replaces={quote(f'{replaced.call};to-tag={to};from-tag={own}', safe='')}"
        self.sequence += 1
        self.request(
            "REFER", more=[f"Refer-To: <{target}>", f"Referred-By: {self.local.partition(';tag')[0]}"]
        )

    def bye(self) -> None:
        if not self.over.is_set():
            self.sequence += 1
            self.request("BYE")
            self.end()

    def cancel(self) -> None:
        """Cancel an unanswered call."""
        self.request("CANCEL", branch=self._branch)
        self.end()

    def accept(self) -> None:
        """Answer the call."""
        assert self.invited is not None
        self._reply("200 OK", self._sdp())

    def rings(self) -> None:
        self._reply("180 Ringing")

    def refuse(self, answer: str) -> None:
        self._reply(answer)
        self.end()

    def end(self) -> None:
        if self.over.is_set():
            return
        self.over.set()
        self.bank.slots_in_use -= 1
        if self.leg is not None:
            self.bank.remove(self.leg)

    # --- what comes

    def answered(self, fields: dict[str, str], code: int, body: str) -> None:
        number, _, method = fields["cseq"].partition(" ")
        if method != "INVITE" or code < 200:
            return
        self.remote = fields["to"]
        if contact := re.search(r"<([^>]+)>", fields.get("contact", "")):
            self.target = contact[1]
        self.request("ACK", sequence=int(number), branch=self._branch if code >= 300 else "")
        if code < 300:
            self.hear(body)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(code)

    def hear(self, sdp: str) -> None:
        """Read the peer's media address; from now on this phone is heard."""
        media = re.search(r"m=audio (\d+)", sdp)
        if media is None or self.over.is_set():
            return
        port = int(media[1])
        if self.leg is not None and self.leg.port == port:
            return
        before, self.leg = self.leg, self.bank.add(self.party.who, self.party.codec, port)
        if before is not None:
            self.bank.remove(before)
            self.leg.word = before.word
        self.phones.legs.append(self.leg)

    # --- messages

    def _sdp(self, direction: str = "sendrecv") -> str:
        codec = self.party.codec
        lines = [
            "v=0", f"o=- {self.bank.port} {self.sequence} IN IP4 {HOST}", "s=-", f"c=IN IP4 {HOST}", "t=0 0",
            f"m=audio {self.bank.port} RTP/AVP {codec} {TELEPHONE_EVENT}",
            f"a=rtpmap:{codec} {NAMES[codec]}/8000", f"a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000",
            f"a=fmtp:{TELEPHONE_EVENT} 0-15", "a=ptime:20", f"a={direction}", "",
        ]  # fmt: skip
        return "\r\n".join(lines)

    def request(
        self, method: str, body: str = "", sequence: int = 0, branch: str = "", more: list[str] | None = None
    ) -> None:
        branch = branch or f"z9hG4bK{uuid.uuid4().hex}"
        if method == "INVITE":
            self._branch = branch
        head = [
            f"{method} {self.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{self.phones.port};branch={branch}",
            "Max-Forwards: 70", f"From: {self.local}", f"To: {self.remote}", f"Call-ID: {self.call}",
            f"CSeq: {sequence or self.sequence} {method}", f"Contact: <sip:phone@{HOST}:{self.phones.port}>",
            *(more or ()),
        ]  # fmt: skip
        self.phones.send(head, body, self.peer)

    def _reply(self, answer: str, body: str = "") -> None:
        assert self.invited is not None
        self.phones.reply(answer, *self.invited, to=self.local, body=body, peer=self.peer)


class Telephones(asyncio.DatagramProtocol):
    """All phones. ``called`` returns the party of a called number."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.dialogues: dict[str, Dialogue] = {}
        self.parties: dict[str, Party] = {}
        self.on_call: Callable[[Dialogue], Awaitable[None]] | None = None
        self.legs: list[Leg] = []
        self.unknown: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.port = transport.get_extra_info("sockname")[1]

    def call(self, party: Party, what: str, port: int) -> Dialogue:
        """Return a phone that is about to call the switch."""
        ident = uuid.uuid4().hex
        local = f'"{party.number}" <sip:{party.number}@{HOST}>;tag={ident[:8]}'
        target = f"sip:{what}@{HOST}:{port}"
        dialogue = Dialogue(
            self, party, ident, local, f"<sip:{what}@{HOST}>", target, (HOST, port), self.studio.bank()
        )
        self.dialogues[ident] = dialogue
        return dialogue

    def send(self, head: list[str], body: str, to: tuple[str, int]) -> None:
        kind = ["Content-Type: application/sdp"] if body else []
        lines = [*head, *kind, f"Content-Length: {len(body)}", "", body]
        self.transport.sendto("\r\n".join(lines).encode(), to)

    def reply(
        self,
        answer: str,
        vias: list[str],
        fields: dict[str, str],
        *,
        to: str,
        peer: tuple[str, int],
        body: str = "",
    ) -> None:
        head = [f"SIP/2.0 {answer}", *(f"Via: {via}" for via in vias), f"From: {fields['from']}", f"To: {to}"]
        head += [f"Call-ID: {fields['call-id']}", f"CSeq: {fields['cseq']}"]
        self.send([*head, f"Contact: <sip:phone@{HOST}:{self.port}>"], body, peer)

    def datagram_received(self, content: bytes, peer: tuple[str, int]) -> None:
        head, _, body = content.decode("utf-8", "replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        fields_of_lines = [line.partition(":") for line in lines]
        fields = {name.strip().lower(): value.strip() for name, _, value in fields_of_lines}
        dialogue = self.dialogues.get(fields.get("call-id", ""))
        if first.startswith("SIP/2.0 "):
            if dialogue is not None:
                dialogue.answered(fields, int(first.split()[1]), body)
            return
        vias = [value.strip() for name, _, value in fields_of_lines if name.strip().lower() in ("via", "v")]
        method, target, _ = first.split()
        if method == "INVITE" and dialogue is None:
            self._invited(target, fields, vias, body, peer)
        elif dialogue is None:
            if method != "ACK":
                self.reply("481 No such call", vias, fields, to=fields["to"], peer=peer)
        else:
            self._within(dialogue, method, fields, vias, body, peer)

    def _invited(
        self, target: str, fields: dict[str, str], vias: list[str], body: str, peer: tuple[str, int]
    ) -> None:
        number = target.partition(":")[2].partition("@")[0]
        party = self.parties.get(number)
        contact = re.search(r"<([^>]+)>", fields["contact"])
        if party is None or contact is None or self.on_call is None:
            self.unknown.append(number)
            self.reply("404 Nobody", vias, fields, to=f"{fields['to']};tag=x", peer=peer)
            return
        local = f"{fields['to']};tag={uuid.uuid4().hex[:8]}"
        dialogue = Dialogue(
            self, party, fields["call-id"], local, fields["from"], contact[1], peer, self.studio.bank()
        )
        dialogue.invited = (vias, fields)
        self.dialogues[dialogue.call] = dialogue
        task = asyncio.get_running_loop().create_task(self._answers(dialogue, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answers(self, dialogue: Dialogue, sdp: str) -> None:
        """Ring for the party's time, then answer."""
        assert self.on_call is not None
        dialogue.rings()
        await self.on_call(dialogue)
        if not dialogue.over.is_set():
            dialogue.accept()
            dialogue.hear(sdp)

    def _within(
        self,
        dialogue: Dialogue,
        method: str,
        fields: dict[str, str],
        vias: list[str],
        body: str,
        peer: tuple[str, int],
    ) -> None:
        if method == "ACK":
            return
        if method == "INVITE" and dialogue.leg is None:
            return  # once more: it rings already
        sdp = dialogue._sdp() if method == "INVITE" else ""
        to = fields["to"] if "tag=" in fields["to"] else dialogue.local
        self.reply("200 OK", vias, fields, to=to, body=sdp, peer=peer)
        if method == "INVITE":
            dialogue.hear(body)
        elif method == "NOTIFY" and re.match(r"SIP/2.0 [2-6]", body):
            dialogue.transferred.set()
        elif method == "BYE":
            dialogue.end()
        elif method == "CANCEL":
            with contextlib.suppress(AssertionError):
                dialogue.refuse("487 Request Terminated")
