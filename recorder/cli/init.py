"""``accord init``: asks the few things that only the operator knows, and sets an installation up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from recorder.cli.output import is_json, json_option, print_json
from recorder.clock import utc_now
from recorder.errors import AccordError
from recorder.ops.installation import (
    SQLITE,
    Answers,
    Installation,
    check_address,
    check_switch,
    find_owner,
)
from recorder.processes.services import Context

SETTINGS: Final = Path("/etc/accord/accord.toml")

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SetupQuestion:
    """A question for a field of :class:`Answers`. ``applies`` says whether it arises after the others."""

    field: str
    text: str
    default: str = ""
    choices: tuple[str, ...] = ()
    secret: bool = False
    applies: Callable[[Values], bool] = lambda _values: True

    def ask(self) -> str:
        return str(
            click.prompt(
                self.text,
                default=self.default,
                show_default=bool(self.default),
                hide_input=self.secret,
                type=click.Choice(self.choices) if self.choices else str,
            )
        )


SWITCH = (SetupQuestion("switch_password", "Password of FreeSWITCH's event socket", secret=True),)
STORE = (
    SetupQuestion("store", "Where recordings are stored", "directory", ("directory", "s3")),
    *(
        replace(question, applies=lambda values: bool(values["store"] == "s3"))
        for question in (
            SetupQuestion("endpoint", "Address of the S3 server (empty: AWS)"),
            SetupQuestion("bucket", "Bucket", "accord"),
            SetupQuestion("access_key", "Access key"),
            SetupQuestion("secret_key", "Secret key", secret=True),
        )
    ),
)
CATALOGUE = (
    SetupQuestion("catalogue", "Catalogue: sqlite, or postgresql://accord@HOST/accord", SQLITE),
    SetupQuestion(
        "catalogue_password",
        "Password of the catalogue's user (empty: none)",
        secret=True,
        applies=lambda values: bool(values["catalogue"] != SQLITE),
    ),
)
ADDRESS = (SetupQuestion("address", "Public address of the panel, https://… (empty: this machine alone)"),)


@click.command(context_settings={"show_default": True})
@click.option(
    "--switch",
    metavar="HOST:PORT",
    default="127.0.0.1:8021",
    help="The address of FreeSWITCH's event socket.",
)
@click.option("--switch-password-file", type=FILE, help="A file with the event socket's password.")
@click.option("--store", type=click.Choice(["directory", "s3"]), help="The kind of object store.")
@click.option("--endpoint", help="The S3 server's address; without one, AWS.")
@click.option("--bucket", help="The bucket; it must exist.")
@click.option("--region", default="us-east-1", help="The bucket's region.")
@click.option("--access-key-file", type=FILE, help="A file with the access key of S3.")
@click.option("--secret-key-file", type=FILE, help="A file with the secret key of S3.")
@click.option("--catalogue", metavar="URL", help="sqlite, or postgresql://user@host/name.")
@click.option(
    "--catalogue-password-file", type=FILE, help="A file with the password of the catalogue's user."
)
@click.option("--address", metavar="URL", help="The panel's public address, https://…")
@click.option("--node", default="node1", help="This machine's name in manifests and logs.")
@click.option(
    "--data", type=click.Path(path_type=Path), default="/var/lib/accord", help="The folder of all data."
)
@click.option("--user", default="accord", help="The user that Accord's processes run as.")
@click.option("--yes", is_flag=True, help="Ask nothing: use the defaults of all other options.")
@json_option
@click.pass_obj
def init(context: Context, /, data: Path, user: str, yes: bool, switch: str, **options: Any) -> None:
    """Set up this machine: settings, secrets, keys, catalogue.

    Values without an option are asked for, and each answer is checked at once. Nothing is overwritten."""
    host, _, port = switch.rpartition(":")
    if not host or not port.isdecimal():
        raise click.BadParameter("write it as HOST:PORT", param_hint="--switch")
    installation = Installation(context.config_path or SETTINGS, data, find_owner(user))
    installation.check_new()
    by_option = _option_values(options)
    answers = Answers(
        switch_host=host,
        switch_port=int(port),
        region=by_option.pop("region"),
        node=by_option.pop("node"),
    )

    def log_in(some: Answers) -> None:
        if note := check_switch(some.switch_host, some.switch_port, some.switch_password):
            click.echo(note, err=True)

    for questions, check in (
        (SWITCH, log_in),
        (STORE, installation.check_store),
        (CATALOGUE, installation.check_catalogue),
        (ADDRESS, lambda some: check_address(some.address)),
    ):
        answers = _answer(answers, questions, by_option, check, yes)
    installation.check_secrets(answers)
    steps = []
    for step in installation.write(answers, utc_now):
        steps.append(step)
        if not is_json():
            click.echo(step)
    if is_json():
        print_json({"steps": steps})
    click.echo(_next_steps(installation), err=is_json())


def _option_values(options: Mapping[str, Any]) -> dict[str, str]:
    """What the options say, by field; secrets from their files."""
    found = {}
    for name, value in options.items():
        if value is not None:
            text = value.read_text("utf-8").strip() if isinstance(value, Path) else str(value)
            found[name.removesuffix("_file")] = text
    return found


def _answer(
    answers: Answers,
    questions: tuple[SetupQuestion, ...],
    by_option: Mapping[str, str],
    check: Callable[[Answers], None],
    yes: bool,
) -> Answers:
    """Ask the questions that no option answers, and again, beside the error, while the answers cannot be
    used. Raises :class:`AccordError` where there is nothing to ask."""
    while True:
        values: dict[str, str] = {}
        asks = False
        for question in questions:
            if not question.applies(values):
                continue
            if question.field in by_option:
                values[question.field] = by_option[question.field]
            elif yes:
                values[question.field] = question.default
            else:
                values[question.field] = question.ask()
                asks = True
        candidate = replace(answers, **values)  # type: ignore[arg-type]  # one of them is a choice
        try:
            check(candidate)
        except AccordError as error:
            if not asks:
                raise
            click.echo(f"    {error.message}", err=True)
            if error.hint:
                click.echo(f"    {error.hint}", err=True)
        else:
            return candidate


def _next_steps(installation: Installation) -> str:
    return f"""
Next:
  1. Copy the keys to two disks that are kept apart: `accord key backup /media/first/accord`, and again
     on the second. Without {installation.kek} no recording can be heard again.
     Then `rm {installation.keys / "root.key"}`: it belongs on those disks alone.
  2. Add a tenant and a number: `accord tenant create NAME`, `accord line add --tenant NAME NUMBER`.
  3. Unless it has them already, give FreeSWITCH Accord's files (docs/install.md).
  4. `systemctl enable --now accord.target`, then `accord doctor`."""
