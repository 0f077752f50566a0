"""The page of active calls: access, commands, and their outcomes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.domain.live_command import DONE
from recorder.features.live import queries
from recorder.features.live.queries import LiveRow
from tests.house import CALLER
from web import WebConfig


@pytest.fixture
def config() -> WebConfig:
    """No worker runs in a test: the test itself answers commands."""
    return WebConfig(secret_key=b"k" * 32, secure_cookies=False, patience=0.0)


@pytest.fixture
def call(house, bakery, clock) -> LiveRow:
    row = LiveRow(
        id="01930000-0000-7000-8000-0000000000c1", tenant=bakery.id, node="node1", line=bakery.line.id,
        number=bakery.line.number, direction="inbound", external_party=CALLER,
        started_at=clock(), announced=True, paused_until=None, deletable=True,
    )  # fmt: skip
    queries.put("node1", [row], clock())
    return row


def count_commands(kind: str = "command.requested") -> int:
    with connected():
        return LeafTable.select().where(LeafTable.kind == kind).count()


def answer(outcome: str, clock, entropy) -> None:
    for row in queries.open_commands("node1"):
        assert queries.take("node1", row.id, clock(), entropy)
        assert queries.answer("node1", row.id, outcome, clock(), entropy)


@pytest.mark.parametrize(
    ("what", "outcome", "text"),
    [
        ("pause", DONE, "En pause : ce qui se dit maintenant"),
        ("resume", "not_paused", "l’enregistrement n’était pas en pause"),
        ("mark", DONE, "Moment marqué"),
        ("delete", DONE, "L’enregistrement est détruit, et un message vous le dit"),
        ("pause", "no_answer", "Impossible : l’enregistreur n’a pas répondu."),
        ("pause", "unknown", "on ignore si cela a fonctionné"),
        ("pause", "something new", "on ignore si cela a fonctionné"),
    ],
)
def test_page_shows_the_commands_outcome(browser, call, clock, entropy, what, outcome, text) -> None:
    person = browser("claire")
    page = person.get("/live").text
    assert "+32\u00a0470\u00a012\u00a034\u00a056" in page
    assert "Enregistrement en cours" in page
    command_answer = person.send(f"/live/{call.id}/{what}")
    assert command_answer.status_code == 303
    assert "En attente de la réponse" in person.get(command_answer.location).text
    answer(outcome, clock, entropy)
    assert text in person.get(command_answer.location).text
    assert count_commands() == 1


def test_pause_is_shown_with_its_end_and_a_resume_button(browser, call, clock) -> None:
    queries.put("node1", [replace(call, paused_until=clock() + timedelta(minutes=2))], clock())
    page = browser("claire").get("/live").text
    assert "jusqu’à 10:02 au plus tard" in page
    assert f'id="resume-{call.id}"' in page
    assert f'id="pause-{call.id}"' not in page


@pytest.mark.parametrize(
    ("answer", "text"),
    [(None, ", pas encore de réponse"), ("yes", " : oui"), ("no", " : non"), ("none", " : sans réponse")],
)
def test_keep_question_is_shown_with_its_answer(browser, call, clock, answer, text) -> None:
    person = browser("claire")
    assert "Conserver l’appel" not in person.get("/live").text
    queries.put("node1", [replace(call, keep_asked_at=clock(), keep_answer=answer)], clock())
    assert f"Demandé à 10:00{text}" in person.get("/live").text.replace("\u00a0", " ")


def test_ended_pause_is_no_longer_shown(browser, call, clock, entropy) -> None:
    person = browser("claire")
    command_answer = person.send(f"/live/{call.id}/pause")
    answer(DONE, clock, entropy)
    hint = "ce qui se dit maintenant"
    assert hint in person.get(command_answer.location).text, "the list may be a moment behind"
    clock.forward(seconds=4)
    queries.put("node1", [replace(call, paused_until=clock() + timedelta(minutes=2))], clock())
    assert hint in person.get(command_answer.location).text
    queries.put("node1", [call], clock())
    assert hint not in person.get(command_answer.location).text


def test_no_commands_before_the_announcement_has_ended(browser, call, clock) -> None:
    queries.put("node1", [replace(call, announced=False)], clock())
    page = browser("claire").get("/live").text
    assert "Annonce en cours" in page
    assert "/pause" not in page


def test_deletion_is_confirmed_first(browser, call, clock) -> None:
    person = browser("claire")
    assert f"/live/{call.id}/delete" in person.get("/live").text
    page = person.get(f"/live/{call.id}/delete")
    assert page.status_code == 200
    assert "C’est irréversible" in page.text
    assert count_commands() == 0
    queries.put("node1", [replace(call, deletable=False)], clock())
    assert person.get(f"/live/{call.id}/delete").status_code == 404
    assert f"/live/{call.id}/delete" not in person.get("/live").text
    assert person.send(f"/live/{call.id}/delete").status_code == 404
    assert count_commands() == 0


def test_other_customers_command_is_not_shown(browser, call, rival, clock, entropy) -> None:
    command_answer = browser("claire").send(f"/live/{call.id}/mark")
    answer(DONE, clock, entropy)
    assert "noted" not in browser("dyck").get(command_answer.location).text


def test_viewers_cannot_send_commands(browser, call) -> None:
    auditor = browser("audit")
    page = auditor.get("/live").text
    assert call.id in page
    assert f"/live/{call.id}" not in page
    for what in ("pause", "resume", "mark", "delete"):
        assert auditor.send(f"/live/{call.id}/{what}").status_code == 403
    assert auditor.get(f"/live/{call.id}/delete").status_code == 403
    assert count_commands() == 0


def test_command_has_a_known_name(browser, call) -> None:
    person = browser("claire")
    for what in ("keep", "stop", "pause2"):
        assert person.send(f"/live/{call.id}/{what}").status_code == 404
    assert count_commands() == 0


def test_commands_are_rate_limited(browser, call) -> None:
    person = browser("claire")
    token = person.token("/live")
    codes = [person.send(f"/live/{call.id}/mark", token).status_code for _ in range(61)]
    assert codes == [303] * 60 + [429]


def test_empty_page_says_that_no_call_is_active(browser, bakery) -> None:
    assert "Aucun appel en cours" in browser("claire").get("/live").text
