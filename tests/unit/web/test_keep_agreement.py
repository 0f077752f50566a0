"""The list of calls, its filter and a call's own page say the same about an agreement to keep."""

from __future__ import annotations

import pytest

from recorder.seal.amendment import By
from tests.amendments import amend

YES = {"answer": "yes", "how": "key", "by": "external"}
BADGES = {
    "agreed": "Convenu de garder",
    "entered": "Gardé, selon une note",
    "withdrawn": "Accord retiré",
    "refused": "Convenu de ne pas garder",
    None: "",
}


@pytest.mark.parametrize(
    ("answers", "later", "expected"),
    [
        ((), (), None),
        ((), ("entered",), "entered"),
        ((YES,), (), "agreed"),
        ((YES,), ("withdrawn",), "withdrawn"),
        ((), ("entered", "withdrawn"), "withdrawn"),
        (({**YES, "answer": "no"},), ("entered", "withdrawn"), "refused"),
        ((YES,), ("withdrawn", "entered"), "entered"),
        (({**YES, "answer": "no"},), (), "refused"),
    ],
)
def test_the_list_says_what_the_page_says(house, browser, bakery, answers, later, expected) -> None:
    """``later`` is what becomes of it after the call."""
    call, by, paul = (
        house.call(bakery, questions=answers),
        By("user", bakery.people["paul"].id),
        browser("paul"),
    )
    for change in later:
        house.clock.forward(minutes=1)
        if change == "withdrawn":
            amend(house.changes.withdraw, bakery.id, call, by, reason="By letter", purposes=["agreement"])
        else:
            amend(house.changes.agree,
                bakery.id, call, by, purpose="agreement", keep_days=300, reason="By e-mail"
            )  # fmt: skip
    listed, page = paul.get("/recordings").text, paul.get(f"/recordings/{call}").text
    badges = listed[listed.index("call-badges") :]
    badges = badges[: badges.index("</p>")]
    assert BADGES[expected] in badges
    assert not any(text in badges for kind, text in BADGES.items() if text and kind != expected)
    assert ("selon une note ultérieure" in page) == (expected == "entered")
    assert ("Convenu de le garder jusqu’au" in page) == (expected == "agreed")
    assert ("Accord retiré" in page) == (expected == "withdrawn")
    for kind in ("agreed", "entered", "withdrawn"):
        match = paul.get(f"/recordings?agreement={kind}").text
        assert (call in match) == (kind == expected)


def test_a_call_says_why_it_can_no_longer_be_heard(house, browser, bakery) -> None:
    call, by = house.call(bakery, mode="opt-in"), By("user", bakery.people["paul"].id)
    amend(house.changes.withdraw, bakery.id, call, by, reason="By letter", purposes=["agreement"])
    page = browser("paul").get(f"/recordings/{call}").text
    notice = page[page.index('id="withheld"') :]
    notice = notice[: notice.index("</div>")]
    assert "l’accord a été retiré. Cet enregistrement ne peut plus être écouté." in notice
    assert "écoulée" not in notice
