"""Who came into a call, and when. A manifest has the moments in clear, as markers, and who it was in the
encrypted parties, in the same order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from recorder.domain.markers import Marker, SealedMarker
from recorder.domain.parties import Party
from recorder.seal.manifest import Manifest, Parties

_KINDS: Final = frozenset({"bridged", "participant_joined", "supervisor_joined"})


@dataclass(frozen=True, slots=True)
class PartyArrival:
    """A ``party`` who came at a ``marker``."""

    marker: SealedMarker
    party: Party


def is_arrival(marker: Marker | SealedMarker) -> bool:
    """Whether somebody came at a marker; who did is sealed if the switch said it."""
    return marker.kind in _KINDS and "in" not in marker.data


def arrivals(manifest: Manifest, parties: Parties) -> tuple[PartyArrival, ...]:
    """Who came into a call, in order. Those of whom the switch did not say who they were are left out."""
    found: list[PartyArrival] = []
    for marker in filter(is_arrival, manifest.markers):
        rest = parties.participants[len(found) :]
        if rest and rest[0].offset_ms == marker.offset_ms:
            found.append(PartyArrival(marker, rest[0].party))
    return tuple(found)


def colleagues(manifest: Manifest, parties: Parties) -> tuple[PartyArrival, ...]:
    """Those of our side who took part, in order; one who comes back after somebody else is there again."""
    found: list[PartyArrival] = []
    for each in arrivals(manifest, parties):
        takes_part = each.marker.kind == "bridged" or (
            each.marker.kind == "participant_joined" and each.marker.data.get("who") == "internal"
        )
        if takes_part and (not found or found[-1].party != each.party):
            found.append(each)
    return tuple(found)


def our_side(manifest: Manifest, parties: Parties) -> tuple[Party, ...]:
    """Who took part on our side, each once, in order; the last one known at the end is among them."""
    last = () if parties.internal_party is None else (parties.internal_party,)
    return tuple(dict.fromkeys((*(each.party for each in colleagues(manifest, parties)), *last)))
