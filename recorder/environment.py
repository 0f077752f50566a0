"""The environment of child processes: what each needs to run, and no secret that only others need.

Any process of the same user can read an environment, and an error report or a library may leak it. So each
child gets its own. A child ends with its parent.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr

from recorder.config import PREFIX, sections, variable_of

_NAMES: Final = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "VIRTUAL_ENV",
        "XDG_RUNTIME_DIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "ESPEAK_DATA_PATH",
    ]
)
_BEGINNINGS: Final = ("LC_", "LD_", "PYTHON", "GEVENT_", "MALLOC_", "OMP_", "OPENBLAS_", "COVERAGE_")

_SUPERVISED: Final = frozenset(("NOTIFY_SOCKET", "WATCHDOG_USEC"))
"""Variables for notifying systemd."""

_NETWORK: Final = ("PG", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""Prefixes of variables that libpq and the object store's client read."""
_PROXIES: Final = frozenset(("http_proxy", "https_proxy", "no_proxy", "all_proxy"))

SECRETS: Final[Mapping[str, frozenset[str]]] = {
    "daemon": frozenset({"switch.password"}),
    "worker": frozenset(
        {
            "catalogue.url",
            "keys.kek",
            "mail.password",
            "store.access_key",
            "store.secret_key",
            "store.erase_access_key",
            "store.erase_secret_key",
        }
    ),
    "web": frozenset(
        {
            "catalogue.url",
            "keys.kek",
            "store.access_key",
            "store.secret_key",
            "web.registration_code",
            "web.secret_key",
        }
    ),
}
"""The secret settings that each process needs."""


_PR_SET_PDEATHSIG: Final = 1


def end_with_parent(parent: int) -> bool:
    """Have the kernel kill this process together with its parent; false if the process ``parent``, which
    started it, has ended already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def for_program(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that reads none of Accord's settings: paths and locale."""
    return {
        name: value for name, value in environment.items() if name in _NAMES or name.startswith(_BEGINNINGS)
    }


def for_process(process: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process in :data:`SECRETS`: every setting that is not secret, and the secrets that
    it needs."""
    needed = {variable_of(*name.split(".")) for name in SECRETS[process]}
    refused = {variable_of(*name) for name in secrets()} - needed
    selection = for_program(environment)
    networked = process != "daemon"
    for name, value in environment.items():
        ours = name.startswith(PREFIX) and name.removesuffix("_FILE") not in refused
        if (
            ours
            or name in _SUPERVISED
            or (networked and (name.startswith(_NETWORK) or name.lower() in _PROXIES))
        ):
            selection[name] = value
    return selection


def secrets() -> set[tuple[str, str]]:
    """Section and name of each secret setting; the catalogue's URL counts, as it may contain a password."""
    found = {("catalogue", "url")}
    for section, model in sections().items():
        fields = model.model_fields.items()
        found |= {(section, name) for name, each in fields if each.annotation is SecretStr}
    return found
