"""No attack on a table or a kind of object destroys, discloses or stops anything, and each effect is named:
by the audit, a page, a log line, a verification or a rebuild.

``exceptions.toml`` lists the attacks that nothing notices, each with the reason why it is harmless, and those
after which something stops all the same, or is destroyed or disclosed, with what it is and why. The list must
be exact: an attack that is missing there fails, and so does one that no longer belongs there.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from tests.attacks.examination import examine, open_installation, read
from tests.attacks.generator import MODELS, Attack, every_attack
from tests.attacks.installation import Installation

EVERY = every_attack()
EXCEPTIONS = read()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with open_installation(tmp_path_factory.mktemp("attacked")) as found:
        yield found


def check(installation: Installation, attacks: list[Attack]) -> None:
    silent, harmful = EXCEPTIONS.of(attack.name for attack in attacks)
    assert examine(installation, attacks) == (silent, harmful)


@pytest.mark.parametrize("group", EVERY)
@pytest.mark.long
def test_each_attack_is_noticed_and_harmless(installation: Installation, group: str) -> None:
    if group in EXCEPTIONS.unexamined:
        pytest.skip("nobody has looked at these attacks yet: python -m tests.attacks.examination")
    check(installation, EVERY[group])


def digest(attack: Attack) -> bytes:
    return sha256(attack.name.encode()).digest()


def test_an_attack_on_each_table_is_noticed_and_harmless(installation: Installation) -> None:
    """One for each, always the same."""
    tables = [table for table in MODELS if table not in EXCEPTIONS.unexamined]
    check(installation, [min(EVERY[table], key=digest) for table in tables])


def test_the_list_is_whole() -> None:
    """There are enough attacks, the list names no other ones, and each entry has a reason."""
    names = {attack.name for attacks in EVERY.values() for attack in attacks}
    assert len(names) == sum(map(len, EVERY.values())) >= 500
    assert {*EXCEPTIONS.unnoticed, *EXCEPTIONS.troubles} <= names
    assert set(EVERY) >= EXCEPTIONS.unexamined
    reasons = [*EXCEPTIONS.unnoticed.values(), *(why for _, why in EXCEPTIONS.troubles.values())]
    assert all(len(reason.split()) > 3 for reason in reasons)
