"""Reads the parties of a call from FreeSWITCH headers.

The caller chooses the calling number, so it decides one thing only: that the call must never be recorded
(:func:`calling_numbers`).
"""

from __future__ import annotations

from collections.abc import Mapping

from recorder.domain.parties import LONGEST, NOBODY, Party, clean, clean_name, parse_party
from recorder.domain.phone_numbers import strip_punctuation


def caller(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the calling party from a channel's data (``connect``) or an event. ``region``: see
    :func:`recorder.domain.parties.parse_party`."""
    if headers.get("Caller-Privacy-Hide-Number", "false").lower() == "true":
        return NOBODY
    user = headers.get("Caller-Caller-ID-Number", "")
    return parse_party(user, headers.get("variable_sip_from_host", ""), region)


def caller_name(headers: Mapping[str, str]) -> str:
    """Return the name that the caller states about themselves, cleaned; empty if there is none, or number or
    name is withheld."""
    if headers.get("Caller-Privacy-Hide-Name", "false").lower() == "true" or caller(headers) == NOBODY:
        return ""
    return clean_name(
        headers.get("Caller-Caller-ID-Name", ""), headers.get("Caller-Caller-ID-Number", "").strip()
    )


def is_outbound(headers: Mapping[str, str]) -> bool:
    """Whether the dialplan marked this leg as the callee's of an outbound call."""
    return headers.get("variable_accord_direction") == "outbound"


def callee(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the callee of an outbound call, as the dialplan set it."""
    return parse_party(headers.get("variable_accord_callee", ""), "", region)


def outbound_caller(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the caller of an outbound call, as the dialplan set it."""
    return parse_party(headers.get("variable_accord_caller", ""), "", region)


def external_party_of(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the external party: the caller, or the callee of an outbound call."""
    return callee(headers, region) if is_outbound(headers) else caller(headers, region)


def calling_numbers(
    headers: Mapping[str, str], region: str | None = None, name: str = "Caller-Caller-ID-Number"
) -> frozenset[str]:
    """Return the calling number as sent and in E.164, to look it up in the never-record list.

    A withheld number is included, because the list protects its owner. ``name`` is the header to read."""
    number = clean(headers.get(name, ""), LONGEST)
    return frozenset({strip_punctuation(number), parse_party(number, "", region).value} - {""})


def peer_party(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the party at the other end of a CHANNEL_BRIDGE."""
    return _of_leg(headers, "Other-Leg", region)


def own_party(headers: Mapping[str, str], region: str | None = None) -> Party:
    """Return the party on an internal leg: the number that was called, or that it calls from."""
    return _of_leg(headers, "Caller", region)


def _of_leg(headers: Mapping[str, str], prefix: str, region: str | None) -> Party:
    is_called = headers.get(f"{prefix}-Direction", "outbound") != "inbound"
    number = "Destination-Number" if is_called else "Caller-ID-Number"
    return parse_party(headers.get(f"{prefix}-{number}", ""), "", region)
