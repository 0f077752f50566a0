"""``accord tenant suspend``, ``accord line suspend``, and what resumes them."""

from __future__ import annotations

from recorder.lifecycle.suspension import find_suspensions
from tests.house import Bakery
from tests.unit.cli.shell import Shell

NAME = "Boulangerie Martin"
MINE = ("--tenant", NAME)


def test_number_is_suspended_and_resumed(shell: Shell, house: Bakery) -> None:
    number = house.line.number
    assert shell("line", "suspend", *MINE, number).exit_code == 2, "it takes a reason"
    assert "the reason is empty" in shell.bad("line", "suspend", *MINE, number, "--reason", " ")
    assert shell.json("line", "suspend", *MINE, number, "--reason", "Unpaid")["suspended"] is True
    assert shell.json("line", "list", *MINE)["lines"][0]["suspended"] is True
    found = find_suspensions(house.tenant).of(house.line.id)
    assert found is not None
    assert found.reason == "Unpaid"
    page = shell.json("tenant", "show", NAME)
    assert (page["state"], page["numbers"][0]["suspended"]) == ("empty", True)
    assert {"code": "number_suspended", "number": number, "reason": "Unpaid"}.items() <= page["problems"][
        0
    ].items()
    assert shell.json("line", "resume", *MINE, number)["suspended"] is False
    assert shell.json("line", "resume", *MINE, number)["suspended"] is False, "repeating it changes nothing"


def test_customer_gets_another_name(shell: Shell, house: Bakery) -> None:
    assert "--name" in shell("tenant", "set", NAME).output
    assert "is empty" in shell.bad("tenant", "set", NAME, "--name", " ")
    assert shell.json("tenant", "set", NAME, "--name", "Martin & Fille")["name"] == "Martin & Fille"
    assert shell.json("tenant", "show", "martin & fille")["language"] == "fr"


def test_customer_is_suspended_with_its_numbers(shell: Shell, house: Bakery) -> None:
    assert shell.json("tenant", "suspend", NAME, "--reason", "Unpaid")["state"] == "suspended"
    assert shell.json("tenant", "list")["tenants"][0]["suspended_at"] is not None
    assert shell.json("line", "show", *MINE, house.line.number)["suspended"] is True
    assert shell.json("line", "resume", *MINE, house.line.number)["suspended"] is True, (
        "the customer still is"
    )
    assert shell.json("tenant", "resume", NAME)["suspended_at"] is None
    assert shell.json("line", "show", *MINE, house.line.number)["suspended"] is False
