"""The settings: one TOML file, overridden by the environment, and checked before anything starts.

A setting ``listen_port`` of section ``switch`` is ``[switch] listen_port`` in the file and
``ACCORD_SWITCH_LISTEN_PORT`` in the environment, which takes precedence. For secrets,
``ACCORD_SWITCH_PASSWORD_FILE`` names a file with the value. Unknown settings and variables are refused, with
the closest known one as a suggestion. The sections are the source of docs/settings.md.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from recorder.colour_contrast import LEGIBLE, lowest_contrast
from recorder.domain import phone_numbers
from recorder.errors import ConfigError

PREFIX = "ACCORD_"

NO_SETTINGS: Final = frozenset(
    f"{PREFIX}{name}"
    for name in (
        # of a command, of the supervisor, and of `make run`
        "CONFIG", "HEARTBEAT_FD", "FREESWITCH",
        # of the switch's configuration, which may share an environment file with Accord
        "CALLERS", "CODECS", "DAEMON", "DELETE_CODE", "EMERGENCY", "INFO_NUMBER", "INFO_PROMPTS", "KEEP_CODE",
        "NEVER_RECORD", "MARK_CODE", "OUTBOUND_CALLERS", "OUTBOUND_PORT", "EXTERNAL_NUMBER", "PAUSE_CODE",
        "PAUSE_SECONDS", "RESUME_CODE", "ROOM_NUMBER", "ROOM_PROMPTS", "ROUTE", "RTP_END", "RTP_START",
        "SIP_IP", "SIP_PORT", "TRUNK",
    )
)  # fmt: skip
"""The ``ACCORD_…`` variables that are no settings. Every other one is refused, as an unknown key is."""

Port = Annotated[int, Field(ge=1, le=65535)]

_STRIP = BeforeValidator(
    lambda text: phone_numbers.strip_punctuation(text) if isinstance(text, str) else text
)
"""A phone number in any of the ways that people write one."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSettings(_Section):
    """The machine beside one switch."""

    name: str = Field(default="node1", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """The name of this machine in manifests and logs; different on each node."""
    data: Path = Path("/var/lib/accord")
    """Folder of the spool, the snapshot and, by default, the catalogue, the keys and the embedded store."""
    spool: Path | None = None
    """The folder that the switch records to; default ``<data>/spool``. Daemon, worker and switch must all be
    able to write there."""
    warn_at: float = Field(default=0.85, gt=0, lt=1)
    """Share of the spool's disk (of its space, or of its number of files) in use above which the operator is
    warned; at most ``full_at``."""
    full_at: float = Field(default=0.95, gt=0.5, lt=1)
    """Share of the spool's disk in use above which no new recording starts (calls continue)."""
    region: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    """Country (``BE``) of numbers without a country code; if empty, they are left unchanged. New
    customers are offered it in the panel, unless their browser says otherwise."""
    never_record: tuple[Annotated[str, _STRIP, Field(pattern=r"^\+?[0-9]{2,15}$")], ...] = ()
    """Numbers, called or calling, that are neither announced nor recorded, in addition to the dialplan's
    list. With ``region``, a calling number is also looked up with its country's code. Callers can claim any
    number: then less is recorded, never more."""

    @property
    def spool_folder(self) -> Path:
        return self.spool or self.data / "spool"

    @property
    def snapshot_folder(self) -> Path:
        return self.data / "snapshot"


class SwitchSettings(_Section):
    """FreeSWITCH: its event socket, and the address at which the dialplan's ``socket`` reaches the daemon."""

    host: str = "127.0.0.1"
    """Address of the switch's event socket."""
    port: Port = 8021
    """Port of the switch's event socket."""
    password: SecretStr = SecretStr("")
    """Password of the event socket; required."""
    listen_host: str = "127.0.0.1"
    """Address at which the daemon listens for the dialplan's ``socket``."""
    listen_port: Port = 8084
    """Port at which the daemon listens for the dialplan's ``socket``; who connects must show that it is the
    switch."""
    command_timeout: float = Field(default=5.0, gt=0, le=60)
    """Seconds to wait for the reply to a command."""


class CatalogueSettings(_Section):
    """The database."""

    url: str = Field(default="", repr=False)
    """``sqlite:////path/to/file`` or ``postgresql://user@host/name``; default ``<data>/catalogue.db``."""
    connections: int = Field(default=20, ge=2, le=500)
    """Highest number of each process's connections to a PostgreSQL server."""


class StoreSettings(_Section):
    """The object store of the recordings."""

    kind: Literal["s3", "directory"] = "s3"
    """An S3 server's bucket, or a folder of this machine."""
    endpoint: str = ""
    """Address of the S3 server, ``https://s3.example.com``; if empty, AWS."""
    bucket: str = "accord"
    """Name of the bucket."""
    region: str = "us-east-1"
    """Region of the bucket."""
    addressing: Literal["path", "virtual", "auto"] = "path"
    """Whether the bucket is in the path of an address or in its host name; ``auto``: boto3 decides."""
    access_key: SecretStr = SecretStr("")
    """Access key of the bucket."""
    secret_key: SecretStr = SecretStr("")
    """Secret key of the bucket."""
    path: Path | None = None
    """Folder of ``kind = "directory"``; default ``<data>/store``. ``accord store init`` or the first
    ``accord migrate`` creates its mount file; without that, its disk is not mounted, and nothing is
    written."""
    lock: Literal["off", "governance"] = "off"
    """``governance``: audio is locked in the bucket (S3 Object Lock) until its announced expiry. The worker
    does not start on a bucket without locks."""
    erase_access_key: SecretStr = SecretStr("")
    """The worker's access key for erasing locked objects, the only one that needs the right to bypass
    governance; default: ``access_key``."""
    erase_secret_key: SecretStr = SecretStr("")
    """The secret key that belongs to ``erase_access_key``; default: ``secret_key``."""
    embedded: bool = False
    """``accord run`` starts SeaweedFS beside the processes, on loopback, in ``<data>/seaweedfs``; the systemd
    units start none."""
    embedded_port: Port = 8333
    """The first of the eight ports of the embedded SeaweedFS."""


class KeySettings(_Section):
    """The keys that seal and encrypt recordings."""

    folder: Path | None = None
    """Folder that ``accord key init`` fills; default ``<data>/keys``."""
    kek: SecretStr = SecretStr("")
    """The key-encryption key, base64 of 32 bytes; default: the file ``kek`` in the folder."""
    disposable: bool = False
    """The keys may be lost with this machine, as those of a demo: the doctor asks for no copies of them."""
    backups_kept_days: int = Field(default=30, ge=0, le=3650)
    """Days after which every backup of catalogue and bucket has been deleted: an erasure counts as complete
    after so many days."""


class WorkerSettings(_Section):
    """The worker's encoders."""

    processes: int = Field(default_factory=lambda: min(len(os.sched_getaffinity(0)), 64), ge=1, le=64)
    """Number of encoder processes; default: one per core."""
    nice: int = Field(default=10, ge=0, le=19)
    """Niceness of the encoder processes: calls come first."""


class WebSettings(_Section):
    """The panel and the API."""

    host: str = "127.0.0.1"
    """Address at which the panel listens."""
    port: Port = 8080
    """Port at which the panel listens."""
    address: str = Field(default="", pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+)?$")
    """The panel's public address, ``https://accord.example.com``, to which links in mails lead and passkeys
    are bound. If empty, no mail is sent to people, and pages show the links instead."""
    secret_key: SecretStr = SecretStr("")
    """Signs sessions and forms, 32 bytes or more; default: ``<data>/keys/web``, created at the first start.
    All panels need the same one."""
    secure_cookies: bool = True
    """Send cookies over HTTPS only; ``false`` only for a panel on loopback."""
    registration: Literal["closed", "code", "open"] = "closed"
    """Who may register as a new customer in the panel: nobody, whoever has ``registration_code``, or
    anybody."""
    registration_code: SecretStr = SecretStr("")
    """The code that a new customer needs, of 8 characters or more."""
    registration_plan: str = "starter"
    """The plan of customers who register."""
    plans: Path | None = None
    """A file with the plans that customers can have, in the form of ``recorder/lifecycle/plans.toml``, the
    default."""
    breached_passwords: Path | None = None
    """A file of breached passwords, which nobody may choose: Have I Been Pwned's list of SHA-1, sorted by
    hash. If empty, only common ones are refused."""
    session_idle_minutes: int = Field(default=120, ge=5, le=1440)
    """Minutes without a request after which somebody is logged out."""
    session_hours: int = Field(default=12, ge=1, le=720)
    """Hours after which somebody must log in again, however active."""
    proxies: int = Field(default=0, ge=0, le=5)
    """Number of reverse proxies in front, whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are trusted."""
    proxy_networks: tuple[IPvAnyNetwork, ...] = ()
    """Networks, in addition to loopback, of the nearest proxy."""


class VerificationCallSettings(_Section):
    """Verification calls: they read out a code, which shows that somebody has the number. Only fixed, mobile
    and internet numbers are called, three times a day each, and twenty times a day for a customer."""

    dial: str = Field(
        default="",
        pattern=r"^([a-z_]{2,20}/[A-Za-z0-9_.:/@;=+*-]*\{(number|digits)\}[A-Za-z0-9_.:/@;=+*-]*)?$",
    )
    """Dial string of this node's switch for external numbers: ``sofia/gateway/trunk/{number}``
    (``{digits}``: without the plus). If empty, this node makes no calls."""
    dial_as: Annotated[str, _STRIP] = Field(default="", pattern=r"^(\+?[0-9]{3,15})?$")
    """The caller number to show; if empty, the gateway's own."""
    countries: tuple[Annotated[str, Field(pattern="^[a-z]{2}$")], ...] = ()
    """Countries whose numbers may be called, besides the customer's own country."""
    calls_a_day: int = Field(default=100, ge=0)
    """Calls in 24 hours, for all customers together; then none until the next day."""


class NumberSettings(_Section):
    """Numbers that customers add themselves: a call to the number reads out a code, which shows that it is
    theirs. The panel offers it where ``[verification_calls] dial`` is set."""

    offer: bool = True
    """Whether the panel offers it."""


class RoomSettings(_Section):
    """Rooms by telephone: who listens together dials a number and enters their personal code."""

    number: Annotated[str, _STRIP] = Field(default="", pattern=r"^(\+[0-9]{6,15})?$")
    """The number that people call, ``+3225550199``, which the switch's ``accord_room_number`` takes. If
    empty, nobody enters a room by telephone."""
    sounds: Path | None = None
    """Folder in memory (a tmpfs with ``noswap``) for what is played to callers: a file is there for the
    moment until the switch has opened it. Accord writes there, and the switch reads; 16 MB hold a quarter of
    an hour. If empty, callers are told that nothing can be heard by telephone now, and come into no room."""
    nodes: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+=[A-Za-z0-9.\[\]:-]+$")], ...] = ()
    """The SIP addresses of your other nodes, ``node-b=10.0.0.2:5080``. A room is on the node that its first
    caller came to; callers who come to another one are passed on to it, or told to call later where its
    address is not named."""


class LogSettings(_Section):
    """The logs."""

    path: Path | None = None
    """The log file; default: standard error. All processes can append to the same file, which can be rotated
    by renaming it."""


class PromptSettings(_Section):
    """Sources of the sentences' sound, which is composed when an announcement is saved, never during a
    call."""

    speech: Literal["auto", "kokoro", "pico", "espeak-ng", "none"] = "auto"
    """Speech engine for text that is neither recorded nor shipped; ``auto``: the best one installed."""
    kokoro: Path | None = None
    """Folder with ``kokoro.onnx`` and its voices."""
    recorded: Path | None = None
    """Folder of a speaker's recordings, ``<language>/<clip>.wav``, used instead of the shipped sounds."""


class AuditLogSettings(_Section):
    """The audit log's checkpoints."""

    lock_days: int = Field(default=365, ge=1, le=3650)
    """Days during which a bucket that locks objects does not delete a checkpoint."""
    timestamp_url: str = Field(default="", pattern=r"^(https?://.*)?$")
    """Address of a timestamp authority (RFC 3161) for checkpoints; if empty, they have no timestamp."""
    timestamp_ca: Path | None = None
    """PEM file of the root certificates of the authority; required with ``timestamp_url``."""


class MailSettings(_Section):
    """The server that sends mail: invitations, links and notices to people, and checkpoints."""

    host: str = ""
    """The mail server; if empty, no mail is sent."""
    port: Port = 587
    """Its port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted; ``none`` only for a server on this machine."""
    sender: str = Field(default="", pattern=r"^([^\s@<>]+@[^\s@<>]+)?$")
    """The mails' sender; required with ``host``."""
    sender_name: str = Field(default="", max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")
    """The name shown beside the sender's address: the provider's."""
    username: str = ""
    """The name to log in to the server with; if empty, there is no log-in."""
    password: SecretStr = SecretStr("")
    """The password that belongs to ``username``."""


class BrandSettings(_Section):
    """How the panel presents the provider."""

    name: str = Field(default="Accord", min_length=1, max_length=40)
    """The name at the top of each page and in the browser's tab."""
    logo: Path | None = None
    """An SVG or PNG file, at most 50 kB, shown beside or instead of the name."""
    colour: str = Field(default="", pattern=r"^(#[0-9a-f]{6})?$")
    """The colour of links and buttons, ``#rrggbb``; it must be legible on the panel's light pages."""
    colour_dark: str = Field(default="", pattern=r"^(#[0-9a-f]{6})?$")
    """The same for dark pages."""
    support_name: str = Field(default="", max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")
    """Whom customers can ask, on the help page; if empty, ``name``."""
    support_mail: str = Field(default="", pattern=r"^([^\s@<>]+@[^\s@<>]+)?$")
    """The mail address of the support."""
    support_phone: str = Field(default="", pattern=r"^(\+?[0-9][0-9 ().\/-]{2,30})?$")
    """The telephone number of the support, as it is to be read."""

    @field_validator("colour", "colour_dark")
    @classmethod
    def _check_legible(cls, colour: str, info: ValidationInfo) -> str:
        dark = info.field_name == "colour_dark"
        if colour and (found := lowest_contrast(colour, dark=dark)).ratio < LEGIBLE:
            change = "lighter" if dark else "darker"
            raise ValueError(
                f"{colour} has a contrast of {found.ratio:.1f} with the panel's {found.ground}, "
                f"and text needs {LEGIBLE}: choose a {change} one"
            )
        return colour


class MetricsSettings(_Section):
    """Where monitoring reaches each process."""

    host: str = "127.0.0.1"
    """Address of ``/metrics``, ``/healthz`` and ``/readyz`` of every process."""
    daemon_port: int = Field(default=9184, ge=0, le=65535)
    """Port of the daemon's; 0 disables them."""
    worker_port: int = Field(default=9185, ge=0, le=65535)
    """Port of the worker's; 0 disables them."""
    web_port: int = Field(default=9186, ge=0, le=65535)
    """Port of the panel's; 0 disables them."""
    allow: tuple[IPvAnyNetwork, ...] = ()
    """Networks, in addition to loopback, whose clients are served."""


class Settings(_Section):
    """All settings of one installation."""

    node: NodeSettings = NodeSettings()
    switch: SwitchSettings = SwitchSettings()
    catalogue: CatalogueSettings = CatalogueSettings()
    store: StoreSettings = StoreSettings()
    keys: KeySettings = KeySettings()
    worker: WorkerSettings = WorkerSettings()
    web: WebSettings = WebSettings()
    brand: BrandSettings = BrandSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    prompts: PromptSettings = PromptSettings()
    audit_log: AuditLogSettings = AuditLogSettings()
    mail: MailSettings = MailSettings()
    verification_calls: VerificationCallSettings = VerificationCallSettings()
    numbers: NumberSettings = NumberSettings()
    rooms: RoomSettings = RoomSettings()

    @property
    def catalogue_url(self) -> str:
        return self.catalogue.url or f"sqlite:///{self.node.data.absolute() / 'catalogue.db'}"

    @property
    def keys_folder(self) -> Path:
        return self.keys.folder or self.node.data / "keys"

    @property
    def store_folder(self) -> Path:
        return self.store.path or self.node.data / "store"


def load(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings of a file (``None``: the defaults), overridden by the environment.

    Raises :class:`ConfigError`, which names the setting and a correction.
    """
    body: dict[str, Any] = {}
    if path is not None:
        try:
            body = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                "config.missing",
                f"there is no settings file {path}",
                "set its path with --config or ACCORD_CONFIG",
            ) from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(
                "config.unreadable", f"{path} cannot be read: {error}", "it must be TOML in UTF-8"
            ) from error
    _check_names(body, str(path))
    _check_variables(environment)
    for section, name, value in _from_environment(environment):
        body.setdefault(section, {})[name] = value
    return validate(body)


def validate(body: Mapping[str, Mapping[str, Any]]) -> Settings:
    """The settings of sections with known names.  Raises :class:`ConfigError`, which names the setting and a
    correction."""
    try:
        settings = Settings.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            "config.invalid", f"the setting {where} cannot be used: {first['msg']}", _describe(where)
        ) from None
    _check_cookies(settings.web)
    return settings


def _check_cookies(web: WebSettings) -> None:
    """Refuse cookies without HTTPS unless they stay on this machine: they can be read in transit."""
    if web.secure_cookies or _is_loopback(web.host):
        return
    raise ConfigError(
        "config.cookies",
        f"web.secure_cookies is false, and the panel listens on {web.host or 'every address'}: "
        "anybody who can read the traffic could take over sessions",
        "put a reverse proxy with HTTPS in front and leave secure_cookies true, or listen on 127.0.0.1",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _from_environment(environment: Mapping[str, str]) -> list[tuple[str, str, str | list[str]]]:
    found: list[tuple[str, str, str | list[str]]] = []
    for section, model in sections().items():
        for name in model.model_fields:
            variable = variable_of(section, name)
            if file := environment.get(f"{variable}_FILE"):
                if variable in environment:
                    raise ConfigError(
                        "config.twice", f"{variable} and {variable}_FILE are both set", "keep one of the two"
                    )
                try:
                    found.append((section, name, _value(model, name, Path(file).read_text("utf-8").strip())))
                except (OSError, UnicodeDecodeError) as error:
                    raise ConfigError(
                        "config.secret_file", f"{variable}_FILE: {file} cannot be read: {error}",
                        "check the path, and that this user may read it",
                    ) from error  # fmt: skip
            elif variable in environment:
                found.append((section, name, _value(model, name, environment[variable])))
    return found


def variable_of(section: str, name: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{section}_{name}".upper()


def _value(model: type[BaseModel], name: str, text: str) -> str | list[str]:
    """A value from the environment, where lists are separated by commas."""
    if get_origin(model.model_fields[name].annotation) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _check_variables(environment: Mapping[str, str]) -> None:
    """Refuse ``ACCORD_…`` variables that match no setting."""
    known = {
        variable_of(section, name): name
        for section, model in sections().items()
        for name in model.model_fields
    }
    for variable in sorted(environment):
        if (
            variable.startswith(PREFIX)
            and variable not in NO_SETTINGS
            and variable.removesuffix("_FILE") not in known
        ):
            raise _unknown(variable, known, "the environment")


def _check_names(body: Mapping[str, Any], source: str) -> None:
    known = sections()
    for section, content in body.items():
        if section not in known:
            raise _unknown(section, known, source)
        if not isinstance(content, dict):
            raise ConfigError(
                "config.invalid",
                f"{section} in {source} must be a section",
                f"write [{section}] on the line above its settings",
            )
        for name in content:
            if name not in known[section].model_fields:
                raise _unknown(
                    f"{section}.{name}", {f"{section}.{n}": n for n in known[section].model_fields}, source
                )


def sections() -> dict[str, type[BaseModel]]:
    """The sections by their names."""
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def _unknown(name: str, known: Mapping[str, Any], source: str) -> ConfigError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists every setting"
    return ConfigError("config.unknown", f"unknown setting {name} in {source}", hint)


def _describe(where: str) -> str:
    section = where.split(".", maxsplit=1)[0]
    return f"see section [{section}] in docs/settings.md"
