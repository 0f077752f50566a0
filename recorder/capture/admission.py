"""Decides whether a connection to the call port comes from the switch.

Anybody on this machine can connect there, and speak like FreeSWITCH. Three things are checked, in this order:

* The **key**: at each start the daemon creates a random key and sets it as a global variable of the switch on
  the standing connection, which the event socket's password protects. The peer is asked for it in the same
  write as ``connect``: it costs the call no time, needs nothing in the dialplan, and the key is in no
  channel, and so in no CDR, SIP message or event of a call. The switch keeps it while the standing connection
  is down, and the daemon keeps it in a file, for the next daemon.
* The **switch's own word**: where the key is missing (the switch has just been restarted), the switch is
  asked on the standing connection for that channel, and its answer counts, not what the peer said.
* The **user** whose process has the other end of the connection, as the kernel says: where the switch cannot
  be asked, it must be the user at the other end of the standing connection. A peer that is certainly another
  user is not asked about at all.

Where nothing can be checked (another machine, no key in its switch, no standing connection), the call goes on
unrecorded; it is listed by the switch's own word once that is connected.
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
"""In the spool, readable by the daemon's user alone: the valid keys, and the switch's user."""

KEY_BYTES: Final = 32

REACH: Final = 1.0
"""Seconds for the standing connection to come back for a call without a key."""

ASK: Final = 1.0
"""Seconds for the switch to say whether the channel exists."""

AT_ONCE: Final = 8
"""How many channels it is asked about at once."""

QUIET: Final = 60.0
"""Seconds between two log lines about refused connections."""

ANOTHER_USER: Final = "another_user"
NO_CHANNEL: Final = "no_channel"
UNVERIFIED: Final = "unverified"
REASONS: Final = (ANOTHER_USER, NO_CHANNEL, UNVERIFIED, SILENT, CROWDED)
"""Why a connection was refused: no key and another user's; the switch has no such channel; nothing could
be checked; it was silent, or did not speak like FreeSWITCH; too many were waiting."""

_HINTS: Final = {
    UNVERIFIED: "calls of the switch's go on unrecorded until the daemon is connected to it: accord doctor",
}
_FORGED: Final = (
    "nothing was done, and nothing told; something else than the switch connects to [switch] listen_port"
)


def key_variable(node: str) -> str:
    """Return the name of the global variable that holds the key. It differs between nodes, because a
    switch may pass its calls to several daemons."""
    return f"accord_key_{hashlib.sha256(node.encode()).hexdigest()[:12]}"


class PeerAdmission:
    """An :class:`recorder.switch.outbound_socket.Admission`. ``reach`` says whether the switch can be
    asked within so many seconds, ``ask`` asks it and raises :class:`SwitchError`."""

    def __init__(
        self,
        node: str,
        spool: Path,
        *,
        entropy: Entropy,
        reach: Callable[[float], bool],
        ask: Callable[[SwitchCommand, float], str],
        owner: Callable[[object], int | None] = socket_owner.peer,  # type: ignore[assignment]
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
        self._questions = BoundedSemaphore(AT_ONCE)
        self._said_at: float | None = None
        self._unsaid = 0

    @property
    def question(self) -> SwitchCommand:
        return commands.global_variable(self._name)

    # --- keys

    def start(self, beside: bool = False) -> None:
        """Take over the key of an earlier daemon, which is in the switch until ours is. ``beside`` a
        daemon that still takes calls, its key is ours."""
        keys, self._user = _read(self._path)
        if beside and keys:
            self._fresh = keys[0]
        self._keys = (self._fresh, *keys[:1])
        self._keep()

    def log_in(self, connection: Inbound) -> None:
        """The standing connection has logged in: its peer is the switch. Raises ``switch.gone``,
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
                hint="each call is asked about on the standing connection; does esl-allowed-api forbid "
                "global_setvar?",
            )
        if (self._keys, self._user) != before:
            gevent.spawn(lambda: in_thread(self._keep))  # a hanging disk must not keep us from the switch

    def _keep(self) -> None:
        content = json.dumps({"keys": self._keys, "user": self._user}, sort_keys=True).encode() + b"\n"
        temporary = self._path.with_name(f"{FILE}.new")
        try:
            temporary.unlink(missing_ok=True)
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(file, "wb") as opened:
                opened.write(content)
            temporary.replace(self._path)
        except OSError as error:
            # It is valid in this process all the same.
            log.warning("switch.key_lost", error=str(error))

    # --- the peer

    def stranger(self, owner: int | None) -> bool:
        return None not in (owner, self._user) and owner != self._user

    def admit(self, data: Mapping[str, str], answer: str, owner: int | None) -> Mapping[str, str] | None:
        given = answer.encode("utf-8", "replace")
        known = False
        for key in self._keys:  # compare all of them each time, so that the time reveals nothing
            known |= hmac.compare_digest(given, key.encode())
        if known:
            return data
        if self.stranger(owner):
            self.refuse(ANOTHER_USER, owner)
            return None
        channel = data.get("Unique-ID", "")
        try:
            told = self._switch_says(channel)
        except SwitchError:
            if owner is not None and owner == self._user:
                return data
            self.refuse(UNVERIFIED, owner)
            return None
        if told is None:
            self.refuse(NO_CHANNEL, owner)
        return told

    def _switch_says(self, channel: str) -> Mapping[str, str] | None:
        """Return the switch's own data of a channel; ``None`` where it has none of that id. Raises
        :class:`SwitchError` where it cannot be asked."""
        question = commands.channel_data(channel)
        if not self._reach(REACH):
            raise SwitchError("switch.gone", "not connected to FreeSWITCH", "it is tried again by itself")
        if not self._questions.acquire(timeout=ASK):
            raise SwitchError("switch.timeout", "too many are asked about", "")
        try:
            answer = self._ask(question, ASK)
        except SwitchError as error:
            if error.error_id == "switch.refused":
                return None
            raise
        finally:
            self._questions.release()
        return EslEvent(b"\n" + answer.encode("utf-8", "replace")).headers

    def refuse(self, why: str, owner: int | None) -> None:
        metrics.PEERS_REFUSED.labels(why).inc()
        self._unsaid += 1
        now = self._monotonic()
        if self._said_at is not None and now - self._said_at < QUIET:
            return
        log.warning(
            "socket.peer_refused",
            reason=why,
            user=owner,
            count=self._unsaid,
            hint=_HINTS.get(why, _FORGED),
        )
        self._said_at, self._unsaid = now, 0


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
