"""Reads the parties of a call from FreeSWITCH headers.

A caller's own word about themselves decides one thing only: it may say that the call must never be recorded
(:func:`calling`).
"""

from __future__ import annotations

from collections.abc import Mapping

from recorder.domain.parties import LONGEST, NOBODY, SEPARATORS, Party, clean, parse_party


def caller(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the calling party from a channel's data (``connect``) or an event. ``region``: see
    :func:`recorder.domain.parties.parse_party`."""
    if headers.get("Caller-Privacy-Hide-Number", "false").lower() == "true":
        return NOBODY
    user = headers.get("Caller-Caller-ID-Number", "")
    return parse_party(user, headers.get("variable_sip_from_host", ""), region)


def outward(headers: Mapping[str, str]) -> bool:
    """Whether the dialplan says that this is the callee's leg of an outbound call."""
    return headers.get("variable_accord_direction") == "outbound"


def called(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the callee of an outbound call, as the dialplan set it."""
    return parse_party(headers.get("variable_accord_callee", ""), "", region)


def from_line(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the caller of an outbound call, as the dialplan set it."""
    return parse_party(headers.get("variable_accord_caller", ""), "", region)


def external_party_of(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the external party: the caller, or the callee of an outbound call."""
    return called(headers, region) if outward(headers) else caller(headers, region)


def calling(
    headers: Mapping[str, str], region: str | None = None, name: str = "Caller-Caller-ID-Number"
) -> frozenset[str]:
    """Return the calling number for the never-record list, as sent and in E.164.

    A withheld number is included, because the list protects its owner. ``name`` is the header to read."""
    sent = clean(headers.get(name, ""), LONGEST)
    return frozenset({sent.translate(SEPARATORS), parse_party(sent, "", region).value} - {""})


def other_party(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the party that the channel of a CHANNEL_BRIDGE was connected to, as the switch reports it."""
    return _of_leg(headers, "Other-Leg", region)


def own_party(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the party on an internal leg: the number it was called on, or calls from."""
    return _of_leg(headers, "Caller", region)


def _of_leg(headers: Mapping[str, str], prefix: str, region: str | None) -> Party:
    called = headers.get(f"{prefix}-Direction", "outbound") != "inbound"
    number = "Destination-Number" if called else "Caller-ID-Number"
    return parse_party(headers.get(f"{prefix}-{number}", ""), "", region)
