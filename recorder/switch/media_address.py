"""Where the audio of a leg is received, by the switch's own data: two legs of one switch that send their
audio to each other are one call between two of its lines.

No SIP header says so: a caller chooses every header, but audio that is not sent to a leg does not reach it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

Address = tuple[str, str]
"""An IP address, and a port."""

LOCAL_PORT: Final = "local_media_port"
"""The variable that holds the port at which a leg receives audio."""

_CONNECTION: Final = re.compile(r"^c=IN IP[46] ([0-9A-Fa-f.:]+)", re.MULTILINE)
_AUDIO: Final = re.compile(r"^m=audio ([0-9]{1,5}) ", re.MULTILINE)


def own_addresses(data: Mapping[str, str]) -> frozenset[Address]:
    """Return where a leg receives audio, as the switch has told its peer."""
    port = data.get(f"variable_{LOCAL_PORT}", "")
    names = ("variable_local_media_ip", "variable_advertised_media_ip")
    return frozenset((ip, port) for name in names if port and (ip := data.get(name, "")))


def peer_address(data: Mapping[str, str]) -> Address | None:
    """Return where a leg's peer receives audio: as it does now or, before the call is answered, as it offers;
    ``None`` if it has not said."""
    ip, port = data.get("variable_remote_media_ip", ""), data.get("variable_remote_media_port", "")
    return (ip, port) if ip and port else _offered(data.get("variable_switch_r_sdp", ""))


def _offered(sdp: str) -> Address | None:
    audio = _AUDIO.search(sdp)
    if audio is None:
        return None
    session, rest = sdp[: audio.start()], sdp[audio.start() :]
    media = rest.partition("\nm=")[0]
    connection = _CONNECTION.search(media) or _CONNECTION.search(session)
    return None if connection is None else (connection[1], audio[1])
