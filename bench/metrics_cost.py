"""The cost of metrics to the daemon: CPU time of an event with and without them.

    python -m bench.metrics_cost [--events 20000] [--rounds 7]

The same bytes as in ``bench/events.py`` arrive over a socket at the daemon's own event handler; for the run
without metrics, its counters are replaced by ones that do nothing. A scrape is timed as well. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from gevent.event import Event
from prometheus_client import generate_latest

from bench.events import measure, one
from recorder import metrics
from recorder.capture import Daemon, DaemonSettings
from recorder.capture.status import StatusSources
from recorder.switch.esl import Inbound
from recorder.switch.esl_events import EslEvent


class NoMetric:
    """A metric that counts nothing."""

    def observe(self, _value: float) -> None: ...


@contextmanager
def without_metrics() -> Iterator[None]:
    with patch.object(metrics, "EVENT_LAG", NoMetric()):
        yield


def handle_events(port: int, count: int) -> tuple[float, float]:
    """Wall-clock and CPU seconds until the daemon has handled so many events."""
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(DaemonSettings("bench", Path(folder) / "spool", Path(folder) / "snapshot", "bench"))
        finish, count_so_far = Event(), 0

        def handle(event: EslEvent) -> None:
            nonlocal count_so_far
            daemon.observer.handle_event(event)
            count_so_far += 1
            if count_so_far == count:
                finish.set()

        connection = Inbound("127.0.0.1", port, "bench")
        connection.register_handle("*", handle)
        connection.connect()
        return measure(lambda: connection.sock.send(b"go\n\n"), finish)


def scrape() -> float:
    """Milliseconds for one page of the daemon's metrics."""
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(DaemonSettings("bench", Path(folder) / "spool", Path(folder) / "snapshot", "bench"))
        StatusSources(daemon.calls, daemon.config, daemon.node, daemon.intake.bypassed).register()
        registry = metrics.registry(metrics.DAEMON)
        start = time.process_time()
        for _ in range(200):
            generate_latest(registry)
        return (time.process_time() - start) * 1000 / 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    event = (Path(__file__).parent / "channel_create.event").read_bytes()
    count = options.events // 100 * 100
    rates: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(options.rounds):
        rates["with"].append(one(handle_events, event, count)[1])
        with without_metrics():
            rates["without"].append(one(handle_events, event, count)[1])
    each = {name: 1e6 / statistics.median(values) for name, values in rates.items()}
    print(
        json.dumps(
            {
                "bench": "what metrics cost the daemon",
                "events": count,
                "rounds": options.rounds,
                "microseconds_an_event": {name: round(value, 2) for name, value in each.items()},
                "share": round(each["with"] / each["without"] - 1, 3),
                "milliseconds_a_scrape": round(scrape(), 2),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
