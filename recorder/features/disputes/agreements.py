"""What the two sides of a dispute say: passages and their words, and how they go on.

Each says it themselves, and what both put the same way, or confirm, has effect: an outcome is sealed beside
the recordings once a day to think has passed (:mod:`recorder.features.disputes.duty`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from recorder.catalogue import queries as catalogue
from recorder.catalogue.country_check import pack_of
from recorder.catalogue.records import UserRow
from recorder.clock import truncate
from recorder.errors import DisputeError
from recorder.features.disputes import queries, rules, texts
from recorder.features.disputes.deferrals import defer_erasure
from recorder.features.disputes.rules import Dispute
from recorder.features.disputes.service import Disputes
from recorder.identity.secret_tokens import new_token, token_hash
from recorder.ids import uuid7
from recorder.lifecycle import plans
from recorder.seal.amendment import By
from recorder.seal.dispute_kinds import (
    BY_TELEPHONE,
    OPEN,
    OUTCOMES,
    SETTLED,
    UNSETTLED,
    AmendedRecording,
    OutcomeConfirmed,
    OutcomeRecorded,
    OutcomeRetracted,
    OutcomeWritten,
    PassageConfirmed,
    PassageLeftOpen,
    PassageMarked,
    PassageWorded,
)

AGREEMENT: Final = "agreement"
"""The purpose for which a recording is kept longer after an outcome."""

KEEP_DAYS: Final = (365, 730, 1826, 3653)
"""Days, counted from the call, for which an outcome can have the recordings kept."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Agreements:
    """Passages and outcomes of ``disputes``. Methods raise as those of
    :class:`recorder.features.disputes.service.Disputes`."""

    disputes: Disputes

    def mark_passage(
        self, person: UserRow, dispute: str, recording: str, begin_ms: int, end_ms: int, text: str
    ) -> None:
        """Mark a passage of a recording, in milliseconds of audio, and describe it in a sentence. Raises
        ``dispute.passage_text``, ``dispute.passage``, ``dispute.passages``, ``dispute.not_theirs``."""
        now, row = truncate(self.disputes.changes.now()), catalogue.recording(person.tenant, recording)
        if row is None or not 0 <= begin_ms < end_ms <= row.duration_ms:
            raise DisputeError(
                "dispute.passage",
                "the passage is not part of the recording",
                "mark it again while the recording plays",
            )
        identity = str(uuid7(now, self.disputes.changes.entropy))
        words = texts.check_passage(text)
        self.disputes.say(person, dispute, PassageMarked(identity, recording, begin_ms, end_ms, words))

    def word_passage(self, person: UserRow, dispute: str, passage: str, text: str) -> None:
        """Describe a passage differently. Raises ``dispute.passage_text``, ``dispute.no_passage``,
        ``dispute.not_theirs``."""
        self.disputes.say(person, dispute, PassageWorded(passage, texts.check_passage(text)))

    def confirm_passage(self, person: UserRow, dispute: str, passage: str, text_sha256: str) -> None:
        """Confirm the words that were shown of a passage. Raises ``dispute.text_changed``,
        ``dispute.no_passage``, ``dispute.not_theirs``."""
        self.disputes.say(person, dispute, PassageConfirmed(passage, texts.check_hash(text_sha256)))

    def leave_passage_open(self, person: UserRow, dispute: str, passage: str) -> None:
        """Leave a passage open. Raises ``dispute.no_passage``, ``dispute.not_theirs``."""
        self.disputes.say(person, dispute, PassageLeftOpen(passage))

    def write_outcome(
        self, person: UserRow, dispute: str, outcome: str, text: str, keep_days: int | None = None
    ) -> None:
        """Write what comes of the dispute, in place of any earlier text. Raises ``dispute.outcome``,
        ``dispute.outcome_text``, ``dispute.keep_days``, ``dispute.outcome_final``,
        ``dispute.not_theirs``."""
        if outcome not in OUTCOMES:
            raise DisputeError(
                "dispute.outcome",
                f"a dispute does not end as {outcome!r}",
                "reload the page and choose an outcome",
            )
        words, salt = texts.check_outcome(text), self.disputes.changes.entropy(32).hex()
        if keep_days is not None and keep_days not in self.keep_choices(
            self.disputes.find(person.tenant, dispute)
        ):
            raise DisputeError(
                "dispute.keep_days",
                f"{keep_days} days is not one of the retention periods on offer",
                "reload the page and choose one of the periods shown",
            )
        self.disputes.say(person, dispute, OutcomeWritten(outcome, words, salt, keep_days))

    def confirm_outcome(
        self, person: UserRow, dispute: str, outcome_sha256: str, *, session: str | None = None
    ) -> None:
        """Confirm the outcome that was shown, or read out in a ``session`` by telephone: it is sealed before
        any of the recordings is erased. Raises
        ``dispute.text_changed``, ``dispute.no_outcome``, ``dispute.outcome_final``, ``dispute.not_theirs``;
        as :meth:`Changes.defer_erasure`."""
        sha256, changes = texts.check_hash(outcome_sha256), self.disputes.changes
        found = self.disputes.find(person.tenant, dispute)
        if found.would_agree(person.id) and not found.is_ordered:
            until = changes.now() + rules.TIME_TO_THINK + rules.WAIT_AFTER
            defer_erasure(changes, found, By("user", person.id), until)
        how = None if session is None else BY_TELEPHONE
        self.disputes.say(person, dispute, OutcomeConfirmed(sha256, how, session))

    def retract_outcome(self, person: UserRow, dispute: str) -> None:
        """Take a confirmation of the outcome back. Raises as :meth:`confirm_outcome`."""
        self.disputes.say(person, dispute, OutcomeRetracted())

    def keep_choices(self, dispute: Dispute) -> tuple[int, ...]:
        """For how many days from the call an outcome can have the recordings kept: longer than they are now,
        and at most as long as the customer's country and plan allow."""
        longest = pack_of(dispute.tenant).rule(AGREEMENT).longest_keep_days
        plan = plans.plan_of(dispute.tenant)
        rows = [catalogue.recording(dispute.tenant, each) for each in dispute.recording_ids]
        still_there = [row for row in rows if row is not None and row.erased_at is None]
        return tuple(
            days
            for days in KEEP_DAYS
            if still_there
            and days <= longest
            and plan.allows_days(days)
            and all(row.started_at + timedelta(days=days) > row.keep_until for row in still_there)
        )

    def record_outcome(self, dispute: Dispute, recordings: Sequence[AmendedRecording], by: By) -> str:
        """Inside the caller's transaction, which has locked the customer: state that the outcome is sealed
        beside these recordings, and close the dispute. Returns the path of the outcome's page. Raises
        ``dispute.outcome_open``."""
        assert dispute.outcome is not None
        token = new_token(self.disputes.changes.entropy)
        data = OutcomeRecorded(tuple(recordings), token_hash(token))
        after = self.disputes.state(dispute, dispute.tenant, dispute.id, by, data)
        queries.note_page(dispute.id, token)
        self.disputes.end(after, UNSETTLED if dispute.outcome.statement.outcome == OPEN else SETTLED, by)
        return f"/together/outcome/{token}"

    def open_page(self, token: str) -> Dispute:
        """The dispute whose outcome has a page with this token. Raises ``dispute.unknown_link``."""
        place = queries.find_page(token)
        if place is None:
            raise DisputeError(
                "dispute.unknown_link", "the link leads to no outcome page", "use the link in the newest mail"
            )
        found = self.disputes.find(*place)
        if found.outcome is None or found.outcome.page_sha256 != token_hash(token):
            log.error("dispute.link_refused", dispute=found.id)
            raise DisputeError(
                "dispute.unknown_link", "the link leads to no outcome page", "use the link in the newest mail"
            )
        return found
