"""The command line as an operator types it, in this process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from recorder import config
from recorder.catalogue import database
from recorder.cli import accord
from recorder.clock import utc_now
from recorder.features.team.invitations import Invitations
from recorder.mail.outbox import Outbox
from recorder.processes.services import Context
from tests.house import PASSWORD
from web.account.passwords import hash_password


class Shell:
    """Runs commands on an installation in a folder, with a directory store."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {
            "ACCORD_NODE_DATA": str(folder),
            "ACCORD_STORE_KIND": "directory",
            **environment,
        }

    def __call__(self, *words: str, typed: str | None = None, **more: str) -> Result:
        return CliRunner().invoke(accord, [*words], input=typed, env={**self.environment, **more})

    def good(self, *words: str, typed: str | None = None, **more: str) -> str:
        """The output of a command that succeeds."""
        result = self(*words, typed=typed, **more)
        assert result.exit_code == 0, result.output
        return str(result.output)

    def json(self, *words: str, **more: str) -> Any:
        """The document that a command prints with ``--json``."""
        result = self(*words, "--json", **more)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def bad(self, *words: str) -> str:
        """The output of a command that fails with a message, not with a traceback."""
        result = self(*words)
        assert result.exit_code in (1, 2), result.output
        assert "Traceback" not in result.output
        return str(result.output)

    def join(self, tenant: str, address: str, *options: str) -> None:
        """Invite somebody, who accepts at once."""
        link = self.good("user", "invite", "--tenant", tenant, address, "--link", *options).strip()
        context = Context(config.load(None, self.environment), None)
        team = Invitations(context.signer(), context.trust(), Outbox(), utc_now, os.urandom)
        team.accept(link.rpartition("/")[2], hash_password(PASSWORD))

    def lose_the_catalogue(self) -> None:
        """Delete the catalogue, and make an empty one."""
        getattr(database.database.obj, "close_all", database.database.close)()
        for path in self.folder.glob("catalogue.db*"):
            path.unlink()
        self.good("migrate")
