"""Commands on a real catalogue, keys and directory store."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from recorder.catalogue.database import connected
from recorder.catalogue.tables.identity import ApiTokenTable, UserTable
from recorder.catalogue.tables.outgoing_mail import OutgoingMailTable
from recorder.cli import accord, line_number
from tests.announcements import announcement_in
from tests.house import Bakery
from tests.unit.cli.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def customer(shell: Shell) -> Shell:
    """Keys, a catalogue, and a customer called Dubois."""
    shell.good("key", "init")
    shell.good("migrate")
    shell.good("tenant", "create", "Dubois")
    return shell


MINE = ("--tenant", "Dubois")
CLAIRE = (*MINE, "claire@example.com")


def access(shell: Shell) -> list[tuple[str, str, list[str] | None, str]]:
    """The people of the customer: log-in, role, numbers, state."""
    rows = shell.json("user", "list", *MINE)["users"]
    return [(row["login"], row["role"], row["numbers"], row["state"]) for row in rows]


def test_customer_is_set_up_from_nothing(customer: Shell) -> None:
    line = customer("line", "add", *MINE, "+3225550101", "--label", "Accueil").stdout.strip()
    (row,) = customer.json("line", "list", *MINE)["lines"]
    assert (row["id"], row["number"], row["label"]) == (line, "+3225550101", "Accueil")
    customer.join("Dubois", "Claire@Example.com")
    assert access(customer) == [("claire@example.com", "customer", None, "active")]
    customer.good("user", "revoke", *CLAIRE, "--yes")
    assert access(customer) == [("claire@example.com", "customer", None, "revoked")]
    customer.good("line", "end", *MINE, "3225550101", "--yes")
    assert customer.json("line", "list", *MINE) == {"lines": []}


@pytest.mark.parametrize("language", ["nl", "de"])
def test_users_may_have_any_panel_language(customer: Shell, language: str) -> None:
    customer.good("tenant", "create", "Martin", "--language", language)
    customer.join("Martin", "claire@example.com")
    customer.join("Dubois", "paul@example.com", "--language", language)
    with connected():
        assert [row.language for row in UserTable.select()] == [language, language]


def test_shipped_announcements_are_listed(customer: Shell) -> None:
    header, *rows = customer.good("announcement", "list", "--tenant", "Dubois").splitlines()
    assert header.split("  ")[-1].strip() == "SOURCE"
    for language, row in zip(("en", "fr"), rows, strict=True):
        cells = re.split(r" {2,}", row)
        assert cells[1:] == [f"shipped-{language}", "1", language, "agreement", "30", "notice", "composed"]


def test_own_sound_becomes_the_next_version(customer: Shell) -> None:
    sound = str(announcement_in("fr").path)
    words = (
        "announcement",
        "add",
        "--tenant",
        "Dubois",
        "own",
        "--wav",
        sound,
        "--text",
        "Told.",
        "--language",
        "fr",
    )
    first, second = customer.good(*words).strip(), customer.good(*words).strip()
    assert first != second
    versions = customer.json("announcement", "list", *MINE)["announcements"]
    assert [(row["id"], row["version"]) for row in versions if row["name"] == "own"] == [
        (second, 2), (first, 1),
    ]  # fmt: skip
    row = customer.json("announcement", "show", second, *MINE)
    assert (row["text"], row["source"], row["lines"]) == ("Told.", "own sound", [])
    assert "accord announcement list" in customer.bad("announcement", "show", "nobody's", *MINE)
    customer.good("line", "add", "--tenant", "Dubois", "+3225550102", "--announcement", first)
    customer.good("line", "set", "--tenant", "Dubois", "3225550102", "--announcement", second)
    assert second in customer.good("line", "list", "--tenant", "Dubois")


def test_invitation_is_printed_listed_sent_again_and_withdrawn(customer: Shell) -> None:
    environment = {"ACCORD_WEB_ADDRESS": "https://calls.example"}
    first = customer.good("user", "invite", *CLAIRE, "--role", "customer_admin", **environment).strip()
    assert first.startswith("https://calls.example/invitation/")
    assert access(customer) == [("claire@example.com", "customer_admin", None, "invited")]
    assert "is invited already" in customer.bad("user", "invite", *CLAIRE)
    second = customer.good("user", "reset-password", *CLAIRE).strip()
    assert second.startswith("http://127.0.0.1:8080/invitation/")
    assert second.rpartition("/")[2] != first.rpartition("/")[2]
    customer.good("user", "revoke", *CLAIRE, "--yes")
    assert access(customer) == []


def test_invitation_is_mailed_where_a_mail_server_is_set(customer: Shell) -> None:
    environment = {
        "ACCORD_WEB_ADDRESS": "https://calls.example",
        "ACCORD_MAIL_HOST": "mail.example",
        "ACCORD_MAIL_SENDER": "calls@provider.example",
    }
    output = customer.good("user", "invite", *CLAIRE, **environment)
    assert output == "a mail to claire@example.com is on its way\n"
    with connected():
        assert OutgoingMailTable.select().count() == 1
    assert "/invitation/" in customer.good("user", "reset-password", *CLAIRE, "--link", **environment)
    with connected():
        assert OutgoingMailTable.select().count() == 0, "the mail's link has ended"


def test_forgotten_password_is_replaced_by_a_link(customer: Shell) -> None:
    customer.join("Dubois", "claire@example.com")
    link = customer.good("user", "reset-password", *CLAIRE).strip()
    assert link.startswith("http://127.0.0.1:8080/reset/")


def test_access_is_changed_and_the_last_admin_stays(customer: Shell) -> None:
    customer.good("line", "add", *MINE, "+3225550101")
    customer.join("Dubois", "claire@example.com", "--line", "02 555 01 01")
    assert access(customer) == [("claire@example.com", "customer", ["+3225550101"], "active")]
    assert "has no number" in customer.bad("user", "set", *CLAIRE, "--role", "customer", "--line", "+3226")
    customer.good("user", "set", *CLAIRE, "--role", "customer_admin", "--extension", "2001")
    (claire,) = customer.json("user", "list", *MINE)["users"]
    assert claire["extensions"] == ["2001"]
    assert access(customer) == [("claire@example.com", "customer_admin", None, "active")]
    for words in (("set", *CLAIRE, "--role", "auditor"), ("revoke", *CLAIRE, "--yes")):
        assert "the customer's last admin" in customer.bad("user", *words)
    customer.good("user", "revoke", *CLAIRE, "--last-admin", "--yes")
    assert access(customer) == [("claire@example.com", "customer_admin", None, "revoked")]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("claire",), "is not a mail address"),
        (("claire@example.com", "--name", "Cl\u202eaire"), "cannot be seen"),
        (("claire@example.com", "--line", "+3225550199"), "accord line list"),
    ],
)
def test_bad_invitation_is_refused(customer: Shell, words: tuple[str, ...], reason: str) -> None:
    assert reason in customer.bad("user", "invite", *MINE, *words)
    assert access(customer) == []


def test_no_command_takes_a_secret_as_an_argument() -> None:
    """Every user of the machine sees the arguments in the list of processes."""

    def options(command: click.Command, path: str) -> Iterator[tuple[str, click.Parameter]]:
        for each in command.params:
            yield path, each
        if isinstance(command, click.Group):
            context = click.Context(command, **accord.context_settings)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from options(inner, f"{path} {name}")

    found = {
        f"{path} {each.opts[0]}"
        for path, each in options(accord, "accord")
        if re.search("pass|secret|token|kek|credential", each.opts[0])
        and not getattr(each, "is_flag", False)
        and not isinstance(each.type, click.Path)
    }
    assert found == {"accord token revoke token_id"}, "an id, which is no secret"


def test_unplayable_sound_is_refused_with_a_hint(customer: Shell, tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(44100)
        sound.writeframes(b"\x01\x02" * 88200)
    result = customer(
        "announcement", "add", "--tenant", "Dubois", "own",
        "--wav", str(path), "--text", "Told.", "--language", "fr",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "accord: " in result.output
    assert "8000" in result.output or "8 " in result.output


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("line", "add", "--tenant", "Nobody", "+3225550101"), "accord tenant list"),
        (("line", "add", "--tenant", "Dubois", "+32 abc"), "digits"),
        (("line", "end", "--tenant", "Dubois", "+3225550199"), "accord line list"),
        (("line", "set", "--tenant", "Dubois", "+3225550199", "--announcement", "x"), "accord line list"),
        (
            ("user", "reset-password", "--tenant", "Dubois", "x@example.com"),
            "accord user list",
        ),
        (("key", "init"), "there are keys already"),
        (("daemon",), "ACCORD_SWITCH_PASSWORD"),
        (("recording", "verify", "01a2102b-40af-71a9-aae8-3a609be670c0"), "nor a recording's id"),
    ],
)
def test_refused_commands_have_a_hint(customer: Shell, words: tuple[str, ...], reason: str) -> None:
    assert reason in customer.bad(*words)


def test_number_belongs_to_one_customer(customer: Shell) -> None:
    customer.good("tenant", "create", "Martin")
    customer.good("line", "add", "--tenant", "Dubois", "+3225550101")
    result = customer("line", "add", "--tenant", "Martin", "3225550101")
    assert result.exit_code == 1
    assert "is already recorded for a customer" in result.output


@pytest.mark.parametrize(
    ("typed", "stored", "sentence"),
    [
        ("02/555.01.77", "+3225550177", "+32 2 555 01 77: recorded"),
        ("0032 (0)2 555 01 77", "+3225550177", "+32 2 555 01 77: recorded"),
        ("3225550177", "+3225550177", "+32 2 555 01 77: recorded"),
    ],
)
def test_line_is_added_as_its_number_was_understood(customer: Shell, typed, stored, sentence) -> None:
    result = customer("line", "add", *MINE, typed)
    assert result.exit_code == 0, result.output
    assert sentence in result.stderr
    assert [each["number"] for each in customer.json("line", "list", *MINE)["lines"]] == [stored]
    assert customer.json("line", "show", *MINE, typed)["number"] == stored


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("0032255", "too few digits"),
        ("+32255", "too few digits"),
        ("02 555 01 77 01", "too many digits"),
        ("112", "emergency number"),
        ("101", "emergency number"),
        ("02 555 01 99", "never-record list"),
        ("1001", "add --as-routed"),
        ("25550177", "write it with its country code"),
        ("0900 12 345", "premium rate"),
    ],
)
def test_number_that_is_unsure_or_never_recorded_is_refused(customer: Shell, typed, reason) -> None:
    refused = customer("line", "add", *MINE, typed, ACCORD_NODE_NEVER_RECORD="+3225550199")
    assert refused.exit_code == 1
    assert reason in refused.stderr
    assert customer.json("line", "list", *MINE)["lines"] == []


def test_digits_that_the_dialplan_routes_stay_as_they_are(customer: Shell) -> None:
    for digits in ("1001", "025550177"):
        assert digits in customer("line", "add", *MINE, digits, "--as-routed").stderr
    assert [each["number"] for each in customer.json("line", "list", *MINE)["lines"]] == ["025550177", "1001"]
    assert "emergency" in customer.bad("line", "add", *MINE, "112", "--as-routed")


@pytest.mark.parametrize(("answer", "lines"), [("y", ["1001"]), ("n", [])])
def test_line_that_is_unsure_is_asked_for_on_a_terminal(customer: Shell, monkeypatch, answer, lines) -> None:
    monkeypatch.setattr(line_number, "is_terminal", lambda: True)
    result = customer("line", "add", *MINE, "1001", typed=answer)
    assert "Record 1001, as the dialplan routes it?" in result.stderr
    assert [each["number"] for each in customer.json("line", "list", *MINE)["lines"]] == lines


def test_tenant_key_under_another_kek_is_refused(customer: Shell) -> None:
    other = base64.b64encode(b"another key-encryption key......").decode()
    result = customer("tenant", "create", "Martin", ACCORD_KEYS_KEK=other)
    assert result.exit_code == 1
    assert "give the key-encryption key that was in use then" in result.output
    assert "Martin" not in customer.good("tenant", "list")


def test_missing_catalogue_hint_says_migrate(shell: Shell) -> None:
    shell.good("key", "init")
    result = shell("tenant", "list")
    assert result.exit_code == 1
    assert "accord migrate" in result.output


def test_an_unknown_setting_is_refused(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "accord.toml"
    path.write_text("[store]\nbuckett = 'x'\n")
    result = CliRunner().invoke(accord, ["--config", str(path), "migrate"])
    assert "did you mean store.bucket?" in str(result.output) + str(result.exception)


def test_keys_are_shown_and_renewed(customer: Shell) -> None:
    before = customer.json("key", "show")
    customer.good("key", "renew")
    after = customer.json("key", "show")
    assert before["root"] == after["root"]
    assert before["signing"]["id"] != after["signing"]["id"]
    assert "Keyring" not in customer.good("key", "show")


def test_doctor_reports_missing_parts(shell: Shell) -> None:
    result = shell("doctor")
    assert result.exit_code == 1
    for text in (
        "accord migrate",
        "`accord init`",
        "ACCORD_SWITCH_PASSWORD",
        "start the daemon or the worker",
    ):
        assert text in result.output


def test_doctor_reports_an_unreachable_switch(customer: Shell) -> None:
    result = customer("doctor", ACCORD_SWITCH_PASSWORD="not-there", ACCORD_SWITCH_PORT="1")
    assert "wrong   switch: " in result.output
    assert "ok      catalogue: " in result.output
    assert "ok      store: " in result.output


def test_verify_reports_changes_from_files_alone(house: Bakery, tmp_path: Path) -> None:
    house.work(house.take())
    prefix = next(key for key in house.objects() if key.endswith("manifest.json")).removesuffix(
        "manifest.json"
    )
    folder = tmp_path / "handed over"
    shutil.copytree(house.bucket / prefix, folder)
    shell = Shell(tmp_path / "elsewhere")
    root = str(tmp_path / "keys" / "root.pub")
    output = shell("recording", "verify", str(folder), "--root", root)
    assert output.exit_code == 0, output.output
    assert "as it was sealed: " in output.output

    prefix_only = prefix.rstrip("/")
    output = shell(
        "recording",
        "verify",
        prefix_only,
        "--root",
        root,
        ACCORD_STORE_KIND="directory",
        ACCORD_STORE_PATH=str(house.bucket),
    )
    assert output.exit_code == 0, output.output

    opus = folder / "audio.opus"
    content = bytearray(opus.read_bytes())
    content[1000] ^= 1
    opus.write_bytes(content)
    output = shell("recording", "verify", str(folder), "--root", root)
    assert output.exit_code == 1
    assert "NOT as it was sealed" in output.output
    assert "object.block" in output.output
    assert "blocks 0" in output.output


def test_token_is_shown_once_and_stored_as_a_hash(customer: Shell) -> None:
    secret = customer.good("token", "create", "--tenant", "Dubois", "till").strip()
    assert secret.startswith("accord_")
    assert len(secret) > 40
    output = customer.good("token", "list", "--tenant", "Dubois")
    assert "till" in output
    assert secret not in output
    ((identity, revoked_at),) = (
        (row["id"], row["revoked_at"]) for row in customer.json("token", "list", *MINE)["tokens"]
    )
    assert revoked_at is None
    with connected():
        (row,) = ApiTokenTable.select()
    assert row.token_sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert customer.json("token", "revoke", *MINE, identity, "--dry-run")["dry_run"] is True
    assert customer.json("token", "revoke", *MINE, identity, "--yes")["revoked_at"] is not None
    assert "accord token list" in customer.bad("token", "revoke", *MINE, identity, "--yes")
