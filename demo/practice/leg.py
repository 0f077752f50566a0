"""One channel, and its headers in FreeSWITCH's events.

The header set and its order are those of the transcripts in ``tests/scenarios/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from demo.practice.pace import Pace
from demo.practice.sound import Player
from demo.practice.wire import Header

STATES = {
    "CS_NEW": 0, "CS_INIT": 1, "CS_ROUTING": 2, "CS_SOFT_EXECUTE": 3, "CS_EXECUTE": 4, "CS_EXCHANGE_MEDIA": 5,
    "CS_PARK": 6, "CS_CONSUME_MEDIA": 7, "CS_HIBERNATE": 8, "CS_RESET": 9, "CS_HANGUP": 10,
    "CS_REPORTING": 11, "CS_DESTROY": 12,
}  # fmt: skip

_SDP = (
    "v=0\r\no=practice 1 1 IN IP4 127.0.0.1\r\ns=practice\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-15\r\na=ptime:20\r\n"
)


@dataclass(eq=False)
class Leg:
    """A channel. ``caller_number`` and ``caller_name`` are as in the INVITE, unchecked."""

    uuid: str
    direction: str
    caller_number: str
    caller_name: str
    destination: str
    context: str
    channel_name: str
    made_at: int
    call_uuid: str
    variables: dict[str, str] = field(default_factory=dict)
    state: str = "CS_NEW"
    call_state: str = "DOWN"
    answered_at: int = 0
    progress_at: int = 0
    bridged_at: int = 0
    hung_up_at: int = 0
    last_hold: int = 0
    hold_accumulated: int = 0
    cause: str | None = None
    callee: str | None = None
    """The number called, once there is one to show (``Caller-Callee-ID-Number``)."""
    other: Leg | None = None
    redirected_from: str | None = None
    """The destination before its last transfer (``Caller-RDNIS``)."""
    transferred: str | None = None
    """The last transfer (``Caller-Transfer-Source``)."""
    on_hold: bool = False
    held_over: Player | None = None
    """What was playing to the other end when this one put the call on hold."""

    @property
    def answered(self) -> bool:
        return self.answered_at > 0

    def get(self, name: str, fallback: Mapping[str, str]) -> str:
        """A variable, a field of the call, or a global variable; empty if there is none."""
        if name in self.variables:
            return self.variables[name]
        return self.field(name) or fallback.get(name, "")

    def field(self, name: str) -> str:
        """The value of a dialplan condition's ``field``."""
        fields = {
            "destination_number": self.destination,
            "caller_id_number": self.caller_number,
            "caller_id_name": self.caller_name,
            "context": self.context,
            "dialplan": "XML",
            "uuid": self.uuid,
            "ani": self.caller_number,
            "username": self.caller_number,
            "network_addr": "127.0.0.1",
            "channel_name": self.channel_name,
            "source": "mod_sofia",
        }
        return fields.get(name, "")

    def channel_headers(self) -> list[Header]:
        """The ``Channel-…`` block."""
        answer = "hangup" if self.cause else "answered" if self.answered else "ringing"
        if self.call_state == "EARLY" and not self.cause:
            answer = "early"
        headers = [
            ("Channel-State", self.state),
            ("Channel-Call-State", self.call_state),
            ("Channel-State-Number", str(STATES[self.state])),
            ("Channel-Name", self.channel_name),
            ("Unique-ID", self.uuid),
            ("Call-Direction", self.direction),
            ("Presence-Call-Direction", self.direction),
            ("Channel-HIT-Dialplan", "true" if self.direction == "inbound" else "false"),
            ("Channel-Call-UUID", self.call_uuid),
            ("Answer-State", answer),
        ]
        if self.cause:
            headers.append(("Hangup-Cause", self.cause))
        if self.direction == "inbound" or self.answered:
            for way in ("Read", "Write"):
                headers += [
                    (f"Channel-{way}-Codec-Name", "PCMU"),
                    (f"Channel-{way}-Codec-Rate", "8000"),
                    (f"Channel-{way}-Codec-Bit-Rate", "64000"),
                ]
        return headers

    def profile_headers(self, prefix: str) -> list[Header]:
        """The ``Caller-…`` block; with other prefixes ``Channel-…`` and ``Other-Leg-…``."""
        headers = [
            ("Direction", self.direction),
            ("Logical-Direction", self.direction),
            ("Username", self.caller_number),
            ("Dialplan", "XML"),
            ("Caller-ID-Name", self.caller_name),
            ("Caller-ID-Number", self.caller_number),
            ("Orig-Caller-ID-Name", self.caller_name),
            ("Orig-Caller-ID-Number", self.caller_number),
        ]
        if self.callee is not None and not (prefix == "Other-Leg" and self.direction == "inbound"):
            headers += [("Callee-ID-Name", self.callee), ("Callee-ID-Number", self.callee)]
        headers += [
            ("Network-Addr", "127.0.0.1"),
            ("ANI", self.caller_number),
            ("Destination-Number", self.destination),
            ("Unique-ID", self.uuid),
            ("Source", "mod_sofia"),
        ]
        if self.transferred is not None and prefix != "Other-Leg":
            headers.append(("Transfer-Source", self.transferred))
        headers.append(("Context", self.context))
        if self.redirected_from is not None:
            headers.append(("RDNIS", self.redirected_from))
        headers += [
            ("Channel-Name", self.channel_name),
            ("Profile-Index", "1"),
            ("Profile-Created-Time", str(self.made_at)),
            ("Channel-Created-Time", str(self.made_at)),
            ("Channel-Answered-Time", str(self.answered_at)),
            ("Channel-Progress-Time", str(self.progress_at)),
            ("Channel-Progress-Media-Time", "0"),
            ("Channel-Hangup-Time", str(self.hung_up_at)),
            ("Channel-Transfer-Time", "0"),
            ("Channel-Resurrect-Time", "0"),
            ("Channel-Bridged-Time", str(self.bridged_at)),
            ("Channel-Last-Hold", str(self.last_hold)),
            ("Channel-Hold-Accum", str(self.hold_accumulated)),
            ("Screen-Bit", "true"),
            ("Privacy-Hide-Name", "false"),
            ("Privacy-Hide-Number", "false"),
        ]
        if prefix == "Other-Leg":
            headers = [header for header in headers if header[0] != "Profile-Index"]
        return [(f"{prefix}-{name}", value) for name, value in headers]

    def headers(self, *, variables: bool) -> list[Header]:
        """All headers of an event about this channel."""
        headers = self.channel_headers()
        if self.state == "CS_NEW":
            return headers
        headers += self.profile_headers("Caller")
        if self.other is not None:
            kind = "originatee" if self.direction == "inbound" else "originator"
            headers += [("Other-Type", kind), *self.other.profile_headers("Other-Leg")]
        if variables:
            headers += [(f"variable_{name}", value) for name, value in self.variables.items()]
        return headers


def inbound_leg(uuid: str, number: str, caller: str, name: str, context: str, pace: Pace, session: int,
                extra: Mapping[str, str]) -> Leg:  # fmt: skip
    """A call from outside. ``extra`` are further variables, as from an INVITE's headers (``sip_h_X-…``)."""
    channel_name = f"sofia/accord/{caller}@127.0.0.1"
    variables = {
        "direction": "inbound",
        "uuid": uuid,
        "call_uuid": uuid,
        "session_id": str(session),
        "sip_from_user": caller,
        "sip_from_uri": f"{caller}@127.0.0.1",
        "sip_from_host": "127.0.0.1",
        "channel_name": channel_name,
        "sip_call_id": f"{uuid}@practice",
        "sip_network_ip": "127.0.0.1",
        "sip_network_port": "5060",
        "sip_received_ip": "127.0.0.1",
        "sip_received_port": "5060",
        "sip_via_protocol": "udp",
        "sofia_profile_name": "accord",
        "sip_full_from": f'"{name}" <sip:{caller}@127.0.0.1>;tag=practice',
        "sip_full_to": f"<sip:{number}@127.0.0.1>",
        "sip_req_user": number,
        "sip_req_uri": f"{number}@127.0.0.1",
        "sip_req_host": "127.0.0.1",
        "sip_to_user": number,
        "sip_to_uri": f"{number}@127.0.0.1",
        "sip_to_host": "127.0.0.1",
        "sip_user_agent": "practice",
        "max_forwards": "70",
        **extra,
        "switch_r_sdp": _SDP,
        "read_codec": "PCMU",
        "read_rate": "8000",
        "write_codec": "PCMU",
        "write_rate": "8000",
        "rtp_use_codec_channels": "1",
        "dtmf_type": "rfc2833",
        "endpoint_disposition": "RECEIVED",
    }
    return Leg(
        uuid, "inbound", caller, name or caller, number, context, channel_name, pace.micros(), uuid, variables
    )


def outbound_leg(uuid: str, a: Leg, target: str, pace: Pace, session: int) -> Leg:
    """The leg that ``bridge`` makes; ``target`` is ``number@host:port``."""
    number, _, host = target.partition("@")
    channel_name = f"sofia/accord/{target}"
    variables = {
        "direction": "outbound",
        "is_outbound": "true",
        "uuid": uuid,
        "session_id": str(session),
        "sip_profile_name": "accord",
        "channel_name": channel_name,
        "sip_destination_url": f"sip:{target}",
        "max_forwards": "69",
        "originator": a.uuid,
        "signal_bond": a.uuid,
        "call_uuid": a.call_uuid,
        "originating_leg_uuid": a.uuid,
        "originate_endpoint": "sofia",
        "sip_req_uri": target,
        "sip_to_host": host,
        "sip_from_host": "127.0.0.1",
        "sofia_profile_name": "accord",
        "rtp_use_codec_channels": "1",
    }
    leg = Leg(
        uuid, "outbound", a.caller_number, a.caller_name, number, a.context, channel_name, pace.micros(),
        a.call_uuid, variables,
    )  # fmt: skip
    leg.callee = number
    leg.redirected_from = a.redirected_from
    leg.other = a
    return leg
