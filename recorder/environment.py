"""What a child process is given of this one's environment: what it needs to run, and no secret of others.

Whoever runs as this user, or gets a process to show its environment, reads what is in it; a library that
fetches something tells it by accident.  So each child has an environment of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr

from recorder.config import PREFIX, Settings

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
"""What a process tells systemd by."""

_OUTWARD: Final = ("PG", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""Beginnings of what libpq and the object store's client read; a proxy's variables too, below."""
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
    "web": frozenset({"catalogue.url", "keys.kek", "store.access_key", "store.secret_key", "web.secret_key"}),
}
"""Which secret settings each process of an installation works with."""


def for_program(environment: Mapping[str, str]) -> dict[str, str]:
    """For a program that needs no setting of Accord's: where programs, libraries and words are found."""
    return {
        name: value for name, value in environment.items() if name in _NAMES or name.startswith(_BEGINNINGS)
    }


def for_process(process: str, environment: Mapping[str, str]) -> dict[str, str]:
    """For one of :data:`SECRETS`: every setting that is no secret, and those secrets that it works with."""
    needed = {_variable(*name.split(".")) for name in SECRETS[process]}
    refused = {_variable(*name) for name in _secrets()} - needed
    given = for_program(environment)
    outward = process != "daemon"
    for name, value in environment.items():
        ours = name.startswith(PREFIX) and name.removesuffix("_FILE") not in refused
        if (
            ours
            or name in _SUPERVISED
            or (outward and (name.startswith(_OUTWARD) or name.lower() in _PROXIES))
        ):
            given[name] = value
    return given


def _secrets() -> set[tuple[str, str]]:
    """Section and name of each secret setting; a catalogue's URL may have a password in it."""
    found = {("catalogue", "url")}
    for section, field in Settings.model_fields.items():
        fields = getattr(field.annotation, "model_fields", {})
        found |= {(section, name) for name, each in fields.items() if each.annotation is SecretStr}
    return found


def _variable(section: str, name: str) -> str:
    return f"{PREFIX}{section}_{name}".upper()
