"""Commands that people type often, or that list something, start at once: they import nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from recorder.cli import accord
from tests.unit.cli.shell import Shell

HEAVY = frozenset({
    "argon2", "av", "babel", "boto3", "botocore", "cryptography", "flask", "gevent", "greenswitch", "jinja2",
    "numpy", "phonenumbers", "rich", "soundfile", "urllib3", "webauthn", "zxcvbn",
})  # fmt: skip
"""Libraries that take long to import, and that no command below has a use for."""

LIGHTEST = HEAVY | {"peewee", "prometheus_client", "pydantic", "recorder.config", "structlog"}

SCRIPT = """
import sys
from collections.abc import Iterator
from pathlib import Path
from recorder.__main__ import main
try:
    main()
finally:
    Path(FILE).write_text("\\n".join(name for name, each in sys.modules.items() if each))
"""


def imported_modules(folder: Path, *words: str) -> frozenset[str]:
    """The modules that a process has imported when the command ends."""
    script = SCRIPT.replace("FILE", repr(str(folder / "modules")))
    environment = {**os.environ, "ACCORD_NODE_DATA": str(folder)}
    subprocess.run(
        [sys.executable, "-c", script, *words], env=environment, capture_output=True, timeout=60, check=False
    )
    return frozenset((folder / "modules").read_text().split())


@pytest.mark.parametrize("words", [("--help",), ("--version",)])
def test_help_imports_no_settings(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert imported_modules(tmp_path, *words) & LIGHTEST == frozenset()


@pytest.mark.parametrize(
    "words", [("status",), ("tenant", "list"), ("line", "list", "--tenant", "Dubois")], ids="-".join
)
def test_lists_import_nothing_heavy(dubois: Shell, words: tuple[str, ...]) -> None:
    modules = imported_modules(dubois.folder, *words)
    assert "recorder.config" in modules
    assert modules & HEAVY == frozenset()


def test_summaries_are_the_commands_own_words() -> None:
    """The help of ``accord`` does not import the commands, so it has their first sentences itself."""
    context = click.Context(accord)
    for name, lazy in accord.lazy.items():  # type: ignore[attr-defined]
        command = accord.get_command(context, name)
        assert command is not None
        stub = click.Command(name, help=lazy.summary)
        assert stub.get_short_help_str(1000) == command.get_short_help_str(1000)


def test_summaries_fit_a_terminal() -> None:
    """In the help of a group none is cut off."""

    def groups(group: click.Group) -> Iterator[click.Group]:
        yield group
        for command in group.commands.values():
            if isinstance(command, click.Group):
                yield from groups(command)

    context = click.Context(accord, **accord.context_settings)
    top = [
        each for each in (accord.get_command(context, name) for name in accord.list_commands(context)) if each
    ]
    for group in [
        accord,
        *(inner for each in top if isinstance(each, click.Group) for inner in groups(each)),
    ]:
        lines = group.get_help(
            click.Context(group, terminal_width=80, **accord.context_settings)
        ).splitlines()
        assert [line for line in lines[lines.index("Commands:") :] if line.endswith("...")] == [], group.name


def test_daemon_imports_beforehand_what_a_call_needs() -> None:
    script = "import sys, recorder.processes.daemon; sys.exit('phonenumbers' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
