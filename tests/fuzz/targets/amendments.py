"""Amendments of every kind beside a manifest, changed, exchanged, moved or omitted: every accepted one was
signed for this recording and place, a chain without a problem is a prefix of the genuine one, and its terms
can be computed. A kind's data is read as written."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from functools import cache

from recorder.errors import SealError
from recorder.seal import amendment, amendment_kinds, signing
from recorder.seal.amendment import By, name, open_amendment
from recorder.seal.amendment_chain import Chain, make_tombstone, read_chain
from recorder.seal.usage_terms import terms
from tests.fuzz.choices import Choices
from tests.fuzz.documents import mutate_bytes, mutate_document, serialize, world
from tests.unit.seal.recording import NOW

INSTRUMENT = ("recorder.seal", "rfc8785")
LONGEST = 160

USER = By("user", "0198c0de-0000-7000-8000-0000000000cc")
HOLD = amendment_kinds.HoldSet(("agreement",), USER.id or "", "they still talk", NOW)
LATER = NOW + timedelta(hours=1)
DATA = (
    HOLD,
    amendment_kinds.HoldLifted(1, "they agreed"),
    amendment_kinds.ConsentAdded("training", NOW + timedelta(days=90), "be", "on paper", date(2026, 11, 25)),
    amendment_kinds.PurposesNarrowed(("training",), "not needed"),
    amendment_kinds.ConsentWithdrawn(("agreement",), "by letter"),
    amendment_kinds.DeletionRequested("asked for"),
    amendment_kinds.ErasureDeferred("a dispute", LATER, ("agreement",)),
    amendment_kinds.DeferralEnded(7, "guest_left", ("a guest",)),
)


@cache
def genuine_chains() -> list[list[bytes]]:
    """Each recording's amendments, one of each kind."""
    documents = world()
    keys = documents.folder / "keys"
    signer = signing.load_signer(keys / signing.SIGNING_KEY, keys / signing.ENDORSEMENT)
    chains = []
    for number in range(len(documents.sealed)):
        contents: list[bytes] = []
        for data in (*DATA, None):
            chain = read(number, [(name(n + 1), each) for n, each in enumerate(contents)])
            follower = chain.next_amendment(data or make_tombstone(chain, "expired"), USER, NOW)
            contents.append(amendment.write(follower, signer))
        chains.append(contents)
    return chains


def read(number: int, found: list[tuple[str, bytes]]) -> Chain:
    documents = world()
    sealed = documents.sealed[number]
    sha256 = hashlib.sha256(sealed.manifest_bytes).hexdigest()
    return read_chain(sealed.manifest, sha256, found, documents.root.public_key(), LATER)


def check(data: bytes) -> None:
    choices = Choices(data)
    documents, chains = world(), genuine_chains()
    number = choices.below(len(chains))
    everything = [each for chain in chains for each in chain]
    parsed = [json.loads(each) for each in (*everything, *documents.documents.values())]
    contents = list(chains[number])
    for _ in range(choices.below(4)):
        at = choices.below(len(contents)) if contents else 0
        match choices.below(7):
            case 0 if contents:
                contents[at] = choices.pick(everything)
            case 1 if contents:
                del contents[at]
            case 2:
                contents.insert(at, choices.pick(everything))
            case 3 if contents:
                contents[at] = mutate_bytes(contents[at], choices)
            case 4:
                contents.insert(at, choices.pick(list(documents.documents.values())))
            case _ if contents:
                try:
                    document = json.loads(contents[at])
                except (ValueError, RecursionError):
                    continue
                contents[at] = serialize(mutate_document(document, choices, parsed), choices)
    gap = choices.below(3)
    found = [(name(n + 1 + (gap if n else 0)), each) for n, each in enumerate(contents)]
    chain = read(number, found)
    terms(chain.manifest, chain.amendments)
    for place, each in enumerate(chain.amendments):
        assert contents[place] == chains[number][place], "believed what was not signed for this place"
        assert each.recording == documents.sealed[number].recording
    if not chain.problems:
        assert contents == chains[number][: len(contents)]
        assert len(chain.amendments) == len(contents)
    for problem in chain.problems:
        assert problem.code.startswith(("seal.", "amendment."))
    check_data(choices)
    for content in contents:
        try:
            open_amendment(content, documents.root.public_key(), LATER)
        except SealError:
            continue
        assert content in everything, "an amendment was believed that nobody signed"


def check_data(choices: Choices) -> None:
    """The changed data of a kind is refused, or read as written."""
    kind, body = choices.pick(
        [(amendment_kinds.KINDS[type(data)], amendment_kinds.data_body(data)) for data in DATA]
    )
    mutated = mutate_document(body, choices, [amendment_kinds.data_body(data) for data in DATA])
    try:
        data = amendment_kinds.read_data(
            choices.pick((kind, kind, kind, *amendment_kinds.KINDS.values(), "x")), mutated
        )
    except SealError as error:
        assert error.error_id in ("seal.field", "seal.unknown_field", "amendment.kind")
        return
    assert amendment_kinds.data_body(data) == mutated


SEEDS = (
    b"",
    *(bytes([n % 3, 1 + n % 3, n % 3, n % 7, n, n * 5 % 256, n * 11 % 256, 3, n]) for n in range(80)),
)
