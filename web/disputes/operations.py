"""The operations on disputes, with the panel's key, clock and mail; and what their pages share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from recorder.catalogue import queries
from recorder.catalogue.records import RecordingRow
from recorder.errors import (
    AccordError,
    DisputeError,
    MailError,
    RetentionError,
    SealError,
    VerificationCallError,
)
from recorder.features.disputes import hearers
from recorder.features.disputes.agreements import Agreements
from recorder.features.disputes.authority_orders import AuthorityOrders
from recorder.features.disputes.guest_calls import GuestCalls
from recorder.features.disputes.invitations import GuestInvitations
from recorder.features.disputes.rules import Dispute
from recorder.features.disputes.service import Disputes
from recorder.features.fleet.service import can_call
from recorder.identity import users
from recorder.seal.dispute_kinds import GuestEntered
from web.language import current_language
from web.state import changes, current_visitor, now, panel_state
from web.text import deletion, errors
from web.text import disputes as text

log = structlog.get_logger()

REFUSALS = (DisputeError, MailError, RetentionError, VerificationCallError)
"""What a step of a dispute raises that its form can show; what a seal says goes to the operator."""


def disputes() -> Disputes:
    """Disputes, signed by the panel."""
    return Disputes(changes())


def invitations() -> GuestInvitations:
    """Invitations to disputes, with the panel's mail."""
    return GuestInvitations(disputes(), panel_state().outbox, panel_state().dial_in)


def own_dial_in(dispute: Dispute, person: str) -> str | None:
    """How one of a dispute's people listens by telephone; ``None`` where they cannot."""
    service = panel_state().dial_in
    return None if service is None else dial_in_sentence(service.code_of(dispute, person, now()))


def dial_in_sentence(code: str | None) -> str | None:
    """How somebody with a code listens by telephone, in the reader's language."""
    service = panel_state().dial_in
    return None if service is None or code is None else service.sentence(code, current_language())


def agreements() -> Agreements:
    """What the two sides of a dispute say."""
    return Agreements(disputes())


def orders() -> AuthorityOrders:
    """Authorities' orders about a dispute's recordings."""
    return AuthorityOrders(disputes())


def deletion_context(dispute: Dispute, names: Mapping[str, str]) -> dict[str, Any]:
    """What ``together/deletion.html`` says: each recording with what waits, and the authority's order. A
    recording that cannot be read now is left out."""
    found = []
    for recording in dispute.recording_ids:
        try:
            status = changes().look(dispute.tenant, recording)
        except AccordError as error:
            log.info("dispute.recording_not_read", recording=recording, error_id=error.error_id)
            continue
        if (pending := deletion.pending_deletion(status, names)) is not None:
            found.append((status.row, pending))
    order = dispute.order
    return {
        "deletions": found,
        "order_state": () if order is None else deletion.order_state(order, names),
    }


def can_be_called(use: str, tenant: str, number: str | None) -> bool:
    """Whether a number may be called for a customer, and some node can do so."""
    return panel_state().call_policy.allows_number(tenant, number) and can_call(use)


def guest_calls() -> GuestCalls:
    """Calls that tell guests a code."""
    return GuestCalls(disputes(), panel_state().call_policy)


def refusal(error: AccordError) -> dict[str, str]:
    """The sentences about a refused step, by field; the reason is logged for the operator."""
    write = log.error if isinstance(error, SealError) else log.info
    write("dispute.refused", error_id=error.error_id, error=error.message, hint=error.hint)
    if isinstance(error, RetentionError):
        return {"form": errors.error(error.error_id, "dispute.not_announced")}
    return text.field_errors(error)


def people_of(dispute: Dispute) -> dict[str, str]:
    """The names of a dispute's people by id: the customer's, its guests, and support's."""
    names = {each.id: each.name for each in users.users(dispute.tenant)}
    entries = {
        str(each.by.id): each.data.name for each in dispute.statements if isinstance(each.data, GuestEntered)
    }
    return names | entries | {each.id: each.name for each in dispute.guests}


def recordings_of(dispute: Dispute) -> list[RecordingRow]:
    """The recordings that a dispute is about, erased ones included, in its order."""
    found = (queries.recording(dispute.tenant, each) for each in dispute.recording_ids)
    return [each for each in found if each is not None]


def listed_names(names: Iterable[str]) -> str:
    """Names in one line."""
    return ", ".join(names)


def find_dispute(dispute_id: str) -> Dispute:
    """A dispute of the visitor's company; for the provider's support, of the customer who called it. Raises
    :class:`DisputeError` (``dispute.not_found``)."""
    return hearers.find_dispute(current_visitor().user, dispute_id[:100], changes().trust)
