"""The page of an outcome: what both sides agreed on, and whether it is unchanged. Whoever has its address
sees it."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from flask import render_template, request
from flask.typing import ResponseReturnValue

from recorder.catalogue import queries as catalogue
from recorder.errors import AccessError, AccordError, DisputeError, SealError, StoreError
from recorder.features.disputes.outcomes import is_outcome
from recorder.features.disputes.rules import Dispute
from recorder.seal.amendment_kinds import BOTH_SIDES, VOUCHED
from recorder.seal.signing import key_id
from web.account.limits import limiter
from web.disputes.blueprint import blueprint
from web.disputes.operations import agreements, people_of, recordings_of
from web.language import use_zone_of
from web.state import changes
from web.text import errors
from web.text.sentences import sentence

LIMIT = limiter.limit("60/hour", scope="outcome pages")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OutcomeCheck:
    """Something that was checked, whether it is so, and why not, in a sentence."""

    sentence: str
    is_good: bool


@blueprint.route("/together/outcome/<token>", methods=["GET", "POST"])
@LIMIT
def show_outcome(token: str) -> ResponseReturnValue:
    """Show an outcome, with what was checked; a text that somebody has can be compared with it."""
    try:
        dispute = agreements().open_page(token[:100])
    except (DisputeError, SealError) as error:
        log.info("dispute.page_not_open", error_id=error.error_id, error=error.message)
        why = errors.error(error.error_id, "dispute.page_changed")
        return render_template("disputes/ended.html", why=why), 410
    outcome = dispute.outcome
    assert outcome is not None
    entry = request.form.get("text", "")
    is_same = None if request.method != "POST" else entry.split() == outcome.statement.text.split()
    if customer := catalogue.tenant(dispute.tenant):
        use_zone_of(customer)
    return render_template(
        "disputes/outcome.html", dispute=dispute, outcome=outcome, customer=customer,
        names=people_of(dispute), recordings=recordings_of(dispute), checks=_checks(dispute), entry=entry,
        is_same=is_same,
        by_both=_basis_of(dispute) == BOTH_SIDES,
        guests={each.id: each for each in dispute.guests},
        root=key_id(changes().root),
        passages=[
            each for each in dispute.passages if dispute.is_agreed((each.author, *each.confirmed_by))
        ],
    )  # fmt: skip


def _checks(dispute: Dispute) -> list[OutcomeCheck]:
    """What is checked now: the statements were when they were read, by the root's key and the log."""
    outcome = dispute.outcome
    assert outcome is not None
    basis = _basis_of(dispute)
    confirmed = sentence("outcome_check", "vouched" if basis == VOUCHED else "confirmed")
    return [
        OutcomeCheck(sentence("outcome_check", "signed"), True),
        OutcomeCheck(confirmed, basis is not None),
        *(
            OutcomeCheck(*_sealed_beside(dispute, each.recording, each.amendment))
            for each in outcome.amendments
        ),
    ]


def _basis_of(dispute: Dispute) -> str | None:
    """What the outcome rests on."""
    assert dispute.outcome is not None
    return dispute.basis_of(user for user, _at in dispute.outcome.confirmations)


def _sealed_beside(dispute: Dispute, recording: str, number: int) -> tuple[str, bool]:
    """Whether the same outcome is sealed beside a recording."""
    try:
        amendments = changes().look(dispute.tenant, recording).chain.amendments
    except AccessError:
        return sentence("outcome_check", "erased"), True
    except StoreError:
        return sentence("outcome_check", "away"), False
    except AccordError as error:
        log.error(
            "dispute.page_check_failed", recording=recording, error_id=error.error_id, error=error.message
        )
        return sentence("outcome_check", "differs"), False
    data = amendments[number - 1].data if number <= len(amendments) else None
    same = is_outcome(data, dispute)
    return sentence("outcome_check", "sealed" if same else "differs"), same
