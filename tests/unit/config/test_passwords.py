"""The rules for passwords."""

from __future__ import annotations

import base64
from random import Random

import pytest

from recorder.errors import CatalogueError
from recorder.identity import passwords
from tests.expected_errors import expect_error

NAMES = ("claire.dubois@example.com", "Claire Dubois", "Menuiserie du Port")


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("elevenchars", "user.password"),
        ("password1234", "user.password_common"),
        ("P@ssw0rd1234", "user.password_common"),
        ("motdepasse123", "user.password_common"),
        ("wachtwoord123", "user.password_common"),
        ("Passwort1234", "user.password_common"),
        ("azertyuiop123", "user.password_common"),
        ("123456789012", "user.password_common"),
        ("aaaaaaaaaaaaaaaa", "user.password_common"),
        ("abcabcabcabcabc", "user.password_common"),
        ("claire.dubois@example.com", "user.password_named"),
        ("Claire-2026-Claire", "user.password_named"),
        ("clairedubois!!", "user.password_named"),
        ("MENUISERIEduport1", "user.password_named"),
        ("Accord-Recorder!", "user.password_named"),
    ],
)
def test_weak_password_is_refused(password: str, code: str) -> None:
    with expect_error(CatalogueError, code) as failure:
        passwords.check(password, NAMES)
    assert failure.value.hint


@pytest.mark.parametrize(
    "password",
    [
        "let us listen together",
        "two voices, one agreement",
        "tijm zwaluw kasteel",
        "marché gris lampe",
        "x7$kQ9!vLm2#",
        "our claire said so in a boat",
    ],
)
def test_any_characters_are_accepted(password: str) -> None:
    passwords.check(password, NAMES)


def test_generated_demo_password_is_accepted() -> None:
    random = Random("demo")
    for _ in range(100):
        passwords.check(base64.urlsafe_b64encode(random.randbytes(12)).decode(), NAMES)
