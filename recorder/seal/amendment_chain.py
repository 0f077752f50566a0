"""The chain of a recording's amendments: each links to its predecessor, and none contradicts earlier ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recorder.clock import to_iso, truncate
from recorder.errors import SealError
from recorder.seal import amendment as amendments
from recorder.seal import hints
from recorder.seal.amendment import Amendment, By, name, number_in, open_amendment
from recorder.seal.amendment_kinds import (
    ERASED,
    HOLD_SET,
    ORDERED,
    STATED,
    ConsentAdded,
    ConsentWithdrawn,
    Data,
    DeferralEnded,
    Erased,
    ErasedObject,
    ErasureDeferred,
    HoldLifted,
    HoldSet,
    OutcomeAdded,
    PurposesNarrowed,
    ended_hold,
)
from recorder.seal.document_source import DocumentSource, read_document
from recorder.seal.manifest import Manifest
from recorder.seal.sealing import NAME as MANIFEST
from recorder.seal.signed_document import CLOCK_SLACK
from recorder.seal.usage_terms import LONGEST_DEFERRAL, deferrals, serves_disputes
from recorder.verified_state import VerifiedState

ALL_MAX_BYTES = 64 * 1024 * 1024
"""Maximum size of all amendments of one recording; later ones are read truncated, and fail verification."""


def amendments_in(source: DocumentSource, prefix: str, names: Iterable[str]) -> list[tuple[str, bytes]]:
    """Read the amendments among the object names at ``prefix``, for :func:`read_chain`.  Raises
    :class:`recorder.errors.StoreError`."""
    found, left = [], ALL_MAX_BYTES
    for each in sorted(filter(number_in, names)):
        content = read_document(source, prefix + each, min(amendments.MAX_BYTES, left))
        left = max(0, left - len(content))
        found.append((each, content))
    return found


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with an amendment: a stable code, the object's name, and a message."""

    code: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Chain(VerifiedState):
    """A recording's amendments in order up to the first problem, and the problems."""

    manifest: Manifest
    manifest_sha256: str
    amendments: tuple[Amendment, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def erased(self) -> Amendment | None:
        """The tombstone, if there is one."""
        return next((each for each in self.amendments if each.kind == ERASED), None)

    @property
    def holds(self) -> tuple[Amendment, ...]:
        """Legal holds that were set, and neither lifted nor replaced."""
        ended = {ended_hold(each.data) for each in self.amendments}
        return tuple(each for each in self.amendments if each.kind == HOLD_SET and each.number not in ended)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the purposes that were announced or consented to, including ended ones."""
        later = (each.data.purpose for each in self.amendments if isinstance(each.data, ConsentAdded))
        return tuple(dict.fromkeys([*(each.code for each in self.manifest.purposes), *later]))

    def next_amendment(self, data: Data, by: By, now: datetime) -> Amendment:
        """Return the next amendment, not yet signed."""
        number = len(self.amendments) + 1
        before = self.amendments[-1].sha256 if self.amendments else self.manifest_sha256
        at = truncate(now)
        return Amendment(self.manifest.recording, self.manifest.tenant, number, before, at, by, data)

    def without(self, document: str, problem: Problem) -> Chain:
        """The chain as if it ended before a document, which a problem was found with: an amendment, or the
        manifest, which leaves the amendments."""
        number = number_in(document)
        amendments = self.amendments if number is None else self.amendments[: number - 1]
        return replace(self, amendments=amendments, problems=(*self.problems, problem))

    def check(self) -> None:
        """Raises :class:`SealError` with the first problem."""
        for problem in self.problems[:1]:
            raise SealError(
                problem.code, f"{problem.name}: {problem.message}", "see `accord recording verify`"
            )


def read_chain(
    manifest: Manifest,
    manifest_sha256: str,
    found: Iterable[tuple[str, bytes]],
    root: Ed25519PublicKey,
    now: datetime | None = None,
) -> Chain:
    """Read amendments in order.  ``found`` are names and contents, sorted by name.

    Nothing is raised; errors are in the chain's ``problems``: ``amendment.missing``,
    ``amendment.doubled``, ``amendment.foreign``, ``amendment.predecessor``, ``amendment.contradiction``,
    ``amendment.kind``, or a code of :func:`manifest.open_manifest`.  Amendments after a problem are
    checked, but do not count.
    """
    chain, expected, before = Chain(manifest, manifest_sha256), 1, manifest_sha256
    for object_name, content in found:
        number = number_in(object_name) or 0
        if number > expected:
            more = number - expected - 1
            what = f"it{f' and {more} after it are' if more else ' is'} not there, and a later one is"
            chain = _with(chain, Problem("amendment.missing", name(expected), what))
        linked = number == expected
        expected = number + 1
        try:
            amendment = open_amendment(content, root, now)
            _belongs(chain, amendment, number, before if linked else None)
        except SealError as error:
            chain = _with(chain, Problem(error.error_id, object_name, error.message))
        else:
            if not chain.problems:
                chain = replace(chain, amendments=(*chain.amendments, amendment))
        before = hashlib.sha256(content).hexdigest()
    return chain


def _with(chain: Chain, problem: Problem) -> Chain:
    return replace(chain, problems=(*chain.problems, problem))


def _belongs(chain: Chain, amendment: Amendment, number: int, before: str | None) -> None:
    manifest = chain.manifest
    if (amendment.tenant, amendment.recording) != (manifest.tenant, manifest.recording):
        raise SealError(
            "amendment.foreign", f"it is an amendment of recording {amendment.recording}", hints.OBJECT
        )
    if amendment.number != number:
        raise SealError(
            "amendment.doubled", f"it is amendment {amendment.number} under another name", hints.OBJECT
        )
    if before is not None and amendment.predecessor != before:
        raise SealError("amendment.predecessor", "it does not continue the document before it", hints.OBJECT)
    if not chain.problems:  # otherwise its predecessors are unknown
        check_follows(chain, amendment)


def check_follows(chain: Chain, amendment: Amendment) -> None:
    """Raises :class:`SealError` (``amendment.contradiction``) for an amendment that contradicts the chain,
    whoever signed it."""

    def refuse(what: str) -> None:
        raise SealError("amendment.contradiction", what, hints.OBJECT)

    data, sealed_at = amendment.data, chain.manifest.sealed_at
    if amendment.at < sealed_at - CLOCK_SLACK:
        refuse(f"it is dated {to_iso(amendment.at)}, and the recording was sealed at {to_iso(sealed_at)}")
    if chain.erased is not None:
        refuse("it comes after the recording was erased")
    ended = ended_hold(data)
    if ended is not None and ended not in {each.number for each in chain.holds}:
        refuse(f"it {'lifts' if isinstance(data, HoldLifted) else 'replaces'} hold {ended}, which is not set")
    codes = (
        data.purposes
        if isinstance(data, HoldSet | ConsentWithdrawn | PurposesNarrowed | ErasureDeferred)
        else ()
    )
    if other := sorted(set(codes) - set(chain.codes)):
        refuse(f"the recording has no purpose {', '.join(other)}")
    if isinstance(data, HoldSet) and (other := [code for code in data.purposes if not serves_disputes(code)]):
        refuse(f"no dispute can need it for {', '.join(other)}, and it is held for that")
    if isinstance(data, ErasureDeferred) and data.until > amendment.at + LONGEST_DEFERRAL:
        refuse(f"it defers the erasure for more than {LONGEST_DEFERRAL.days} days")
    if isinstance(data, DeferralEnded):
        if data.deferral not in {each.number for each in deferrals(chain.amendments)}:
            refuse(f"it ends deferral {data.deferral}, which is not set")
        if data.how == ORDERED and len(data.people) < 2:
            refuse("one person alone ends a deferral by an authority's order")
    nothing = chain.manifest.announced is None and chain.manifest.import_sha256 is None
    if isinstance(data, ConsentAdded) and nothing:
        refuse("it agrees to what was not announced")
    if isinstance(data, ConsentAdded) and data.basis != STATED:
        bases = {each.data.basis for each in chain.amendments if isinstance(each.data, OutcomeAdded)}
        if data.basis not in bases:
            refuse("it says that more than one person agreed, and no outcome before it does")
    if isinstance(data, Erased):
        sealed = {ErasedObject(o.name, o.stored_sha256, o.stored_length) for o in chain.manifest.objects}
        if set(data.objects) != sealed or len(data.objects) != len(sealed):
            refuse("it names other objects than were sealed")
        if data.key_id != chain.manifest.keys.data:
            refuse("it names another key than was sealed")
        if chain.holds:
            refuse("the recording was erased while it was held")
        if any(amendment.at < each.until for each in deferrals(chain.amendments)):
            refuse("the recording was erased while its erasure was deferred")


def make_tombstone(chain: Chain, why: str) -> Erased:
    """Return the data of a recording's tombstone."""
    manifest = chain.manifest
    return Erased(
        reason=why,
        key_id=manifest.keys.data,
        objects=tuple(ErasedObject(o.name, o.stored_sha256, o.stored_length) for o in manifest.objects),
        remains=(*(name(each.number) for each in chain.amendments), MANIFEST),
    )
