"""Decides whether a connection to the call port comes from the switch.

Any process on this machine can connect there, and speak like FreeSWITCH. Three things are checked, in this
order:

* The **key**. At each start the daemon creates a random key and sets it as a global variable of the switch on
  the standing connection, which the event socket's password protects. The peer is asked for it in the same
  write as ``connect``. That costs the call no time and needs nothing in the dialplan, and the key is in no
  channel, so in no CDR, SIP message or event of a call. The switch keeps it while the standing connection is
  down; the daemon keeps it in a file for the next daemon.
* The **switch's own data**. If the key is missing (the switch has just restarted), the daemon asks the switch
  for that channel on the standing connection. That answer counts, not the peer's.
* The **user** of the process at the other end of the connection, as the kernel reports it. If the switch
  cannot be asked, it must be the user at the other end of the standing connection. A peer of another user is
  refused without asking the switch.

If nothing can be checked (another machine, no key in its switch, no standing connection), the call continues
unrecorded, and is listed from the switch's own data once that is connected.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import gevent
import structlog
from gevent.lock import BoundedSemaphore

from recorder import metrics, socket_owner
from recorder.capture.thread_pool import in_thread
from recorder.errors import SwitchError
from recorder.ids import Entropy
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import CROWDED, SILENT

if TYPE_CHECKING:
    from recorder.switch.esl import Inbound

log = structlog.get_logger()

FILE: Final = ".switch"
"""In the spool, readable by the daemon's user only: the valid keys and the switch's user id."""

KEY_BYTES: Final = 32

RECONNECT_LIMIT: Final = 1.0
"""Seconds that a call without a key waits for the standing connection."""

QUERY_LIMIT: Final = 1.0
"""Seconds for the switch to answer whether the channel exists."""

MAX_QUERIES: Final = 8
"""How many channels the switch is asked about at once."""

LOG_INTERVAL: Final = 60.0
"""Seconds between two log lines about refused connections."""

ANOTHER_USER: Final = "another_user"
NO_CHANNEL: Final = "no_channel"
UNVERIFIED: Final = "unverified"
REASONS: Final = (ANOTHER_USER, NO_CHANNEL, UNVERIFIED, SILENT, CROWDED)
"""Why a connection was refused: no key, and another user's process; no such channel on the switch; nothing
could be checked; the peer was silent, or did not speak like FreeSWITCH; too many were waiting."""

_HINTS: Final = {
    UNVERIFIED: "calls continue unrecorded until the daemon is connected to the switch: run `accord doctor`",
}
_FORGED: Final = (
    "no command was run and no data sent; a process other than the switch connects to [switch] listen_port"
)


def key_variable(node: str) -> str:
    """Return the name of the global variable that holds the key. It differs between nodes, because a switch
    may pass calls to several daemons."""
    return f"accord_key_{hashlib.sha256(node.encode()).hexdigest()[:12]}"


class PeerAdmission:
    """Implements :class:`recorder.switch.outbound_socket.Admission`. ``reach(seconds)`` returns whether the
    switch can be asked within that time; ``ask`` asks it and raises :class:`SwitchError`."""

    def __init__(
        self,
        node: str,
        spool: Path,
        *,
        entropy: Entropy,
        reach: Callable[[float], bool],
        ask: Callable[[SwitchCommand, float], str],
        owner: Callable[[object], int | None] = socket_owner.peer_uid,  # type: ignore[assignment]
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = key_variable(node)
        self._path = spool / FILE
        self._reach = reach
        self._ask = ask
        self._owner = owner
        self._monotonic = monotonic
        self._fresh = entropy(KEY_BYTES).hex()
        self._keys: tuple[str, ...] = (self._fresh,)
        self._user: int | None = None
        self._queries = BoundedSemaphore(MAX_QUERIES)
        self._logged_at: float | None = None
        self._unlogged = 0

    @property
    def question(self) -> SwitchCommand:
        return commands.global_variable(self._name)

    # --- keys

    def start(self, beside: bool = False) -> None:
        """Read the key of the previous daemon, which stays valid until this daemon's key is set. ``beside`` a
        daemon that still accepts calls, use its key."""
        keys, self._user = _read(self._path)
        if beside and keys:
            self._fresh = keys[0]
        self._keys = (self._fresh, *keys[:1])
        self._save()

    def set_key(self, connection: Inbound) -> None:
        """Set the key on the switch, once the standing connection has logged in. Raises ``switch.gone``,
        ``switch.timeout``."""
        before = self._keys, self._user
        self._user = self._owner(connection.sock)
        try:
            connection.api(commands.set_global_variable(self._name, self._fresh))
            self._keys = (self._fresh,)
        except SwitchError as error:
            if error.error_id != "switch.refused":
                raise
            log.warning(
                "switch.key_failed",
                error=error.message,
                hint="the switch is asked about each call instead; does esl-allowed-api forbid "
                "global_setvar?",
            )
        if (self._keys, self._user) != before:
            gevent.spawn(lambda: in_thread(self._save))  # a hanging disk must not delay the connection

    def _save(self) -> None:
        content = json.dumps({"keys": self._keys, "user": self._user}, sort_keys=True).encode() + b"\n"
        temporary = self._path.with_name(f"{FILE}.new")
        try:
            temporary.unlink(missing_ok=True)
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(file, "wb") as opened:
                opened.write(content)
            temporary.replace(self._path)
        except OSError as error:
            # The key remains valid in this process.
            log.warning("switch.key_lost", error=str(error))

    # --- the peer

    def is_stranger(self, owner: int | None) -> bool:
        return None not in (owner, self._user) and owner != self._user

    def admit(self, data: Mapping[str, str], answer: str, owner: int | None) -> Mapping[str, str] | None:
        reply = answer.encode("utf-8", "replace")
        known = False
        for key in self._keys:  # always compare all, so that the duration reveals nothing
            known |= hmac.compare_digest(reply, key.encode())
        if known:
            return data
        if self.is_stranger(owner):
            self.refuse(ANOTHER_USER, owner)
            return None
        channel = data.get("Unique-ID", "")
        try:
            switch_data = self._ask_switch(channel)
        except SwitchError:
            if owner is not None and owner == self._user:
                return data
            self.refuse(UNVERIFIED, owner)
            return None
        if switch_data is None:
            self.refuse(NO_CHANNEL, owner)
        return switch_data

    def _ask_switch(self, channel: str) -> Mapping[str, str] | None:
        """Return the switch's own data of a channel; ``None`` if it has no such channel. Raises
        :class:`SwitchError` if it cannot be asked."""
        query = commands.channel_data(channel)
        if not self._reach(RECONNECT_LIMIT):
            raise SwitchError("switch.gone", "not connected to FreeSWITCH", "the daemon reconnects by itself")
        if not self._queries.acquire(timeout=QUERY_LIMIT):
            raise SwitchError(
                "switch.timeout",
                "too many channels are being checked",
                "nothing needs to be done unless it lasts: `accord doctor` says whether the switch answers",
            )
        try:
            answer = self._ask(query, QUERY_LIMIT)
        except SwitchError as error:
            if error.error_id == "switch.refused":
                return None
            raise
        finally:
            self._queries.release()
        return EslEvent(b"\n" + answer.encode("utf-8", "replace")).headers

    def refuse(self, why: str, owner: int | None) -> None:
        metrics.PEERS_REFUSED.labels(why).inc()
        self._unlogged += 1
        now = self._monotonic()
        if self._logged_at is not None and now - self._logged_at < LOG_INTERVAL:
            return
        log.warning(
            "socket.peer_refused",
            reason=why,
            user=owner,
            count=self._unlogged,
            hint=_HINTS.get(why, _FORGED),
        )
        self._logged_at, self._unlogged = now, 0


def _read(path: Path) -> tuple[tuple[str, ...], int | None]:
    try:
        body = json.loads(path.read_bytes())
        keys, user = body["keys"], body["user"]
        if not all(isinstance(key, str) and len(key) == 2 * KEY_BYTES for key in keys):
            raise ValueError("no keys")
        return tuple(keys), user if isinstance(user, int) else None
    except FileNotFoundError:
        return (), None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("switch.key_unreadable", error=type(error).__name__)
        return (), None
