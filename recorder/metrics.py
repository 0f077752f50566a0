"""Declares every metric that Accord exposes to Prometheus.

Each has a name (base units, ``_total`` for counters), a help text, its labels, and the processes that expose
it. The values of a label form a small known set: never an id, a name, or client input. Such metrics are
exposed as 0 from the start (:func:`expose_zero`), so that a rate exists before the first failure.

:mod:`recorder.status_server` serves :func:`registry`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics import MetricWrapperBase

from recorder import __version__

# Nobody monitors the time when a counter was created.
disable_created_metrics()  # type: ignore[no-untyped-call]

DAEMON: Final = "daemon"
WORKER: Final = "worker"
WEB: Final = "web"

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FINE: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LONG: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class MetricDeclaration:
    """A metric as the documentation lists it. ``on``: the processes that expose it."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    on: tuple[str, ...]
    metric: MetricWrapperBase


METRICS: Final[dict[str, MetricDeclaration]] = {}
"""By the name that Prometheus shows (for a histogram, without ``_bucket``, ``_sum`` and ``_count``)."""

Metric = TypeVar("Metric", bound=MetricWrapperBase)


def _declare(metric: Metric, name: str, text: str, labels: tuple[str, ...], on: tuple[str, ...]) -> Metric:
    METRICS[name] = MetricDeclaration(name, type(metric).__name__.lower(), text, labels, on, metric)
    return metric


def _counter(name: str, text: str, *labels: str, on: tuple[str, ...]) -> Counter:
    return _declare(Counter(name, text, labels, registry=None), name, text, labels, on)


def _gauge(name: str, text: str, *labels: str, on: tuple[str, ...]) -> Gauge:
    return _declare(Gauge(name, text, labels, registry=None), name, text, labels, on)


def _histogram(
    name: str, text: str, *labels: str, on: tuple[str, ...], buckets: tuple[float, ...] = SECONDS
) -> Histogram:
    return _declare(Histogram(name, text, labels, registry=None, buckets=buckets), name, text, labels, on)


# fmt: off

# --- every process

BUILD = _gauge("accord_build_info", "Always 1; the version of Accord.", "version", on=(DAEMON, WORKER, WEB))
UNHANDLED_ERRORS = _counter("accord_unhandled_errors_total", "Unhandled errors, logged with a traceback.",
                            on=(DAEMON, WORKER, WEB))

READY = _gauge("accord_ready", "1 while a check of /readyz is well.", "check", on=(DAEMON, WORKER, WEB))

# --- calls

CALLS = _counter("accord_calls_total", "Calls that ended, by outcome: recorded, or the reason why not.",
                 "outcome", on=(DAEMON,))
CALLS_LIVE = _gauge("accord_calls_live", "Calls in progress.", on=(DAEMON,))
CALLS_ANNOUNCING = _gauge("accord_calls_announcing", "Calls whose announcement is playing.", on=(DAEMON,))
RECORDINGS_LIVE = _gauge("accord_recordings_live", "Recordings in progress.", on=(DAEMON,))
ANNOUNCEMENT_DELAY = _histogram("accord_announcement_delay_seconds",
    "From a call's arrival at the daemon to the start of its announcement.", on=(DAEMON,), buckets=FINE)
ANNOUNCEMENTS_INTERRUPTED = _counter("accord_announcements_interrupted_total",
    "Announcements that were interrupted (by a hold, for example) and restarted.", on=(DAEMON,))
CALLS_RECONCILED = _counter("accord_calls_reconciled_total",
    "Calls of an earlier daemon that were found after a restart.", on=(DAEMON,))
RECORDINGS_STOPPED = _counter("accord_recordings_stopped_total",
    "Recordings stopped because their call had not been announced.", on=(DAEMON,))

# --- the switch

SWITCH_UP = _gauge("accord_switch_up", "1 while the event socket is connected and every event is taken in.",
                   on=(DAEMON,))
SWITCH_CONNECTIONS = _counter("accord_switch_connections_total",
    "Attempts to open the standing connection, by result: up, or failed.", "result", on=(DAEMON,))
SWITCH_COMMAND = _histogram("accord_switch_command_duration_seconds",
    "From a command to the switch's reply.", on=(DAEMON,), buckets=FINE)
SWITCH_COMMAND_FAILURES = _counter("accord_switch_command_failures_total",
    "Commands that were refused, not answered in time, or cut off when the connection closed.",
    "reason", on=(DAEMON,))
OTHER_RECORDINGS = _counter("accord_other_recordings_total",
    "Recordings by the telephone system itself, of calls on recorded lines.", on=(DAEMON,))
PEERS_REFUSED = _counter("accord_socket_peers_refused_total",
    "Connections to the call port from anything but the switch, by how that was detected.",
    "reason", on=(DAEMON,))
EVENT_LAG = _histogram("accord_switch_event_lag_seconds",
    "From an event at the switch to its handling in the daemon.", on=(DAEMON,), buckets=FINE)
EVENT_LAG_MAX = _gauge("accord_switch_event_lag_max_seconds",
    "The longest lag of the last 10 to 20 s, that of an event in progress included.", on=(DAEMON,))
EVENTS_LOST = _counter("accord_switch_events_lost_total",
    "Events without effect: the queue was full (backlog), or handling failed.", "reason", on=(DAEMON,))
HUB_LAG = _histogram("accord_hub_lag_seconds", "Delay of the hub's timers, measured twice a second.",
                     on=(DAEMON,), buckets=FINE)

# --- the node's disk, its lines

DISK_SIZE = _gauge("accord_spool_disk_size_bytes", "Size of the spool's disk.", on=(DAEMON,))
DISK_FREE = _gauge("accord_spool_disk_free_bytes", "Free space on the spool's disk.", on=(DAEMON,))
DISK_USED = _gauge("accord_spool_disk_used_ratio",
    "Share of the spool's disk in use, 0 to 1: of its space or its inodes, whichever is scarcer.",
    on=(DAEMON,))
DISK_STATE = _gauge("accord_spool_disk_state",
    "1 for the disk's state: ok, warn ([node] warn_at), full ([node] full_at: no new recordings).",
    "state", on=(DAEMON,))
SPOOL_ERRORS = _counter("accord_spool_write_errors_total",
    "Failed writes to the spool: a call's folder, a marker, the call's end, an erasure; and "
    "recordings ended because the disk was full.",
    "what", on=(DAEMON,))
SNAPSHOT_LOADED = _gauge("accord_snapshot_loaded",
    "1 if the daemon has loaded this node's configuration snapshot.", on=(DAEMON,))
SNAPSHOT_LINES = _gauge("accord_snapshot_lines", "Recorded lines in the snapshot.", on=(DAEMON,))
SNAPSHOT_DAMAGED = _gauge("accord_snapshot_damaged_prompts",
    "Announcements whose sound does not match its hash; their calls are not recorded.", on=(DAEMON,))
SNAPSHOT_CHECKED = _gauge("accord_snapshot_checked_timestamp_seconds",
    "When the snapshot was last known to match the catalogue.", on=(WORKER,))

# --- takes on their way

SPOOL_TAKES = _gauge("accord_spool_takes",
    "Takes in the spool: their call is in progress (call), or the stage that they wait for.",
    "stage", on=(WORKER,))
SPOOL_BYTES = _gauge("accord_spool_bytes", "Size of the spool's content, quarantine included.", on=(WORKER,))
SPOOL_OLDEST = _gauge("accord_spool_oldest_take_age_seconds",
    "Time since the end of the call whose take has waited longest; 0 if none waits.", on=(WORKER,))
SPOOL_UNREADABLE = _gauge("accord_spool_unreadable_takes", "Folders that the worker may not read.",
                          on=(WORKER,))
QUARANTINE_TAKES = _gauge("accord_quarantine_takes", "Takes in quarantine.", on=(WORKER,))
TAKES = _counter("accord_takes_total",
    "Takes that left the spool: stored, noted (as not recorded), quarantined, or erased (before "
    "they were stored).", "outcome",
    on=(WORKER,))
TAKES_UNANNOUNCED = _counter("accord_takes_unannounced_total",
    "Takes kept for no purpose: the announcement is missing or cut off in the audio, or consent was "
    "not given.",
    "reason", on=(WORKER,))
TAKES_DURATION_MISMATCH = _counter("accord_takes_duration_mismatch_total",
    "Takes whose audio is shorter or longer than their call by more than 2 % without a gap or hold "
    "to explain it.",
    "sound", on=(WORKER,))
STAGE = _histogram("accord_stage_duration_seconds", "Duration of one completed stage of one take.",
                   "stage", on=(WORKER,), buckets=LONG)
STAGE_FAILURES = _counter("accord_stage_failures_total",
    "Stages that failed and will be retried, by the obstacle.",
    "stage", "error", on=(WORKER,))
ENCODED_AUDIO = _counter("accord_encoded_audio_seconds_total", "Encoded audio.", on=(WORKER,))
ENCODE_CPU = _counter("accord_encode_cpu_seconds_total", "Processor time used by encoding.", on=(WORKER,))
ENCODER_DEATHS = _counter("accord_encoder_deaths_total",
    "Encoder processes that died in the middle of their work.", on=(WORKER,))
WORKER_BUSY = _gauge("accord_worker_busy", "Tasks in progress, by lane: encode, rest.", "lane", on=(WORKER,))
WORKER_SLOTS = _gauge("accord_worker_slots",
    "Maximum number of concurrent tasks, by lane.", "lane", on=(WORKER,))

# --- store and catalogue

STORE_OPERATION = _histogram("accord_store_operation_duration_seconds",
    "Duration of one attempt at an operation of the object store.", "operation",
    on=(WORKER, WEB), buckets=LONG)
STORE_ERRORS = _counter("accord_store_errors_total",
    "Failed attempts: the store is unavailable or overloaded (away), holds other content "
    "(conflict), or refused.",
    "operation", "kind", on=(WORKER, WEB))
STORE_RETRIES = _counter("accord_store_retries_total", "Retried operations.", "operation",
                         on=(WORKER, WEB))
STORE_WRITTEN = _counter("accord_store_written_bytes_total", "Bytes put into the bucket.", on=(WORKER,))
STORE_READ = _counter("accord_store_read_bytes_total", "Bytes read from the bucket.", on=(WORKER, WEB))
CATALOGUE_ERRORS = _counter("accord_catalogue_errors_total",
    "Database errors: unavailable or busy for too long (away), or other failures.", "kind", on=(WORKER, WEB))
CATALOGUE_WRITE = _histogram("accord_catalogue_write_duration_seconds",
    "Duration of a write transaction, including the wait for its lock.", on=(WORKER, WEB))
CLOCK_OFFSET = _gauge("accord_clock_offset_seconds",
    "This machine's clock minus the database server's; 0 with SQLite.", on=(WORKER, WEB))
CATALOGUE_SCHEMA = _gauge("accord_catalogue_schema_info",
    "Always 1; the newest migration of the catalogue.", "schema", on=(WORKER, WEB))

# --- keys, what is destroyed, other duties

SIGNING_KEY_EXPIRY = _gauge("accord_signing_key_expiry_timestamp_seconds",
    "When the endorsement of the key that signs recordings expires.", on=(WORKER,))
RECORDINGS_ERASED = _counter("accord_recordings_erased_total",
    "Recordings erased at the end of their retention, by reason.", "why", on=(WORKER,))
RECORDINGS_NOT_ERASED = _counter("accord_recordings_not_erased_total",
    "Attempts to erase an expired recording that failed or were refused; each is counted once a "
    "minute.",
    "reason", on=(WORKER,))
QUARANTINE_ERASED = _counter("accord_quarantine_erased_total",
    "Expired takes erased from quarantine.", on=(WORKER,))
MAIL_QUEUED = _gauge("accord_queued_mails",
    "Mails of all customers in the queue: waiting to be sent, or refused by the mail server for good.",
    "state", on=(WORKER,))
CALL_BUDGET_USED = _gauge("accord_verification_call_budget_used_ratio",
    "Verification calls of the last 24 hours, as a share of [verification_calls] calls_a_day; at 1 no "
    "number is called.",
    on=(WORKER,))
DIAL_IN_BUDGET_USED = _gauge("accord_dial_in_budget_used_ratio",
    "Wrong codes of callers to rooms, as a share of a day's budget; at 1 only those get in who call from a "
    "number at which they were invited.",
    on=(WORKER,))
DUTY_FAILURES = _counter("accord_duty_failures_total", "Duties that failed.",
                         "duty", on=(WORKER,))
OBJECT_FAILURES = _counter("accord_object_failures_total",
    "Customers, recordings and other objects that a duty could not deal with and will try again, by the log "
    "event that names each; the duty dealt with the others.",
    "event", on=(WORKER,))
DUTY_DONE = _gauge("accord_duty_timestamp_seconds", "When a duty was last completed.", "duty",
                   on=(WORKER,))

# --- people

REQUESTS = _counter("accord_http_requests_total", "Requests that the panel answered.",
                    "route", "method", "status", on=(WEB,))
REQUEST = _histogram("accord_http_request_duration_seconds", "From a request to the head of its response.",
                     "route", on=(WEB,))
LOGINS = _counter("accord_logins_total", "Log-in attempts: ok, refused, too_often.", "result", on=(WEB,))
GRANTS = _counter("accord_grants_total", "Grants to play a recording.", on=(WEB,))
REFUSALS = _counter("accord_refusals_total", "Refusals by the gate, by reason.", "reason", on=(WEB,))
BROKEN_SEALS = _counter("accord_seals_broken_total", "Recordings whose seal did not verify.",
                        on=(WEB,))
LISTENS = _counter("accord_listens_total", "Listens.", on=(WEB,))
LISTEN_BYTES = _counter("accord_listen_sent_bytes_total", "Audio bytes sent to listeners.", on=(WEB,))

# fmt: on

LATE: Final = "late"
REFUSED: Final = "refused"
GONE: Final = "gone"
COMMAND_FAILURES: Final = (LATE, REFUSED, GONE)

AWAY: Final = "away"
CONFLICT: Final = "conflict"
FAILED: Final = "failed"
STORE_OPERATIONS: Final = ("put", "read", "size", "list", "delete", "abilities")
STORE_KINDS: Final = (AWAY, CONFLICT, REFUSED)
CATALOGUE_KINDS: Final = (AWAY, FAILED)
OBSTACLES: Final = ("store_away", "store", "catalogue", "seal", "take", "encoder", "disk", "other")
"""Reasons why a stage can fail for now."""
OBJECT_FAULTS: Final = (
    "amendments.recovery_failed", "announcement.unreadable", "call.unreadable", "checkpoint.mail_failed",
    "checkpoint.sign_failed", "checkpoint.stamp_failed", "customer.unreadable", "dispute.drop_failed",
    "dispute.news_failed", "dispute.not_copied", "dispute.outcome_failed", "dispute.unreadable",
    "doctor_report.unreadable", "endorsement.damaged", "hold.unreadable", "invitation.unreadable",
    "line.sound_missing", "line.unreadable", "listen.close_failed", "mail.unreadable",
    "notification.not_mailed", "notification.update_failed", "offboarding.delayed",
    "offboarding.erasure_failed", "own_call.not_revoked", "quarantine.erasure_failed",
    "recording.erasure_failed", "recording.limit_failed", "retention_limit.refused", "room.delayed",
    "subject_request.withdrawal_failed", "usage.count_failed",
)  # fmt: skip
"""The log events that name an object that a duty could not deal with, or that a page leaves out."""


def expose_zero(metric: MetricWrapperBase, *values: Iterable[str]) -> None:
    """Expose a metric as 0 for every combination of its labels' values."""
    for combination in product(*values):
        metric.labels(*combination)


def expose_shared_zeros() -> None:
    """Expose as 0 the metrics that worker and panel share."""
    expose_zero(STORE_OPERATION, STORE_OPERATIONS)
    expose_zero(STORE_ERRORS, STORE_OPERATIONS, STORE_KINDS)
    expose_zero(STORE_RETRIES, STORE_OPERATIONS)
    expose_zero(CATALOGUE_ERRORS, CATALOGUE_KINDS)


def registry(process: str) -> CollectorRegistry:
    """The metrics of one process, with its memory, CPU time and open files."""
    visible_metrics = CollectorRegistry()
    ProcessCollector(registry=visible_metrics)
    for each in METRICS.values():
        if process in each.on:
            visible_metrics.register(each.metric)
    return visible_metrics


def expose_version() -> None:
    """Expose the version. Prometheus adds the node, as a label of its target."""
    BUILD.labels(__version__).set(1)
