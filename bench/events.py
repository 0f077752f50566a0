"""Events a second: Accord's event socket beside stock greenswitch.

    python bench/events.py [--events 20000] [--rounds 5]

The same bytes, a CHANNEL_CREATE of a real FreeSWITCH (128 headers, 5.3 KB), arrive over a loopback socket
from another process; a handler reads the same dozen headers of each. Both sides go the whole way from socket
to handler. Rounds alternate and figures are medians; the ratio is what counts, absolute numbers are this
machine's. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import socket
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import gevent
from gevent.event import Event
from greenswitch.esl import InboundESL

from recorder.switch.esl import Inbound
from recorder.switch.esl_events import EslEvent

HEADERS = (
    "Event-Name",
    "Event-Date-Timestamp",
    "Unique-ID",
    "Channel-Call-UUID",
    "Call-Direction",
    "Caller-Caller-ID-Number",
    "Caller-Destination-Number",
    "Caller-Context",
    "Other-Leg-Unique-ID",
    "Hangup-Cause",
    "variable_sip_from_host",
    "variable_accord_recording",
)


def feed(port_back: multiprocessing.Queue[int], event: bytes, count: int) -> None:
    """The other end: log a client in, then send as fast as it reads."""
    frame = b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(event), event)
    server = socket.create_server(("127.0.0.1", 0))
    port_back.put(server.getsockname()[1])
    client, _ = server.accept()
    client.sendall(b"Content-Type: auth/request\n\n")
    client.recv(4096)
    client.sendall(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n")
    client.recv(4096)  # the start signal
    block = frame * 100
    for _ in range(count // 100):
        client.sendall(block)
    client.recv(1)
    client.close()


def stock(port: int, count: int) -> tuple[float, float]:
    """Wall-clock and CPU seconds of unmodified greenswitch."""
    finish = Event()
    count_so_far = 0

    def handle(event: object) -> None:
        nonlocal count_so_far
        headers = event.headers  # type: ignore[attr-defined]
        for name in HEADERS:
            headers.get(name)
        count_so_far += 1
        if count_so_far == count:
            finish.set()

    connection = InboundESL("127.0.0.1", port, "bench")
    connection.register_handle("*", handle)
    connection.connect()
    return measure(lambda: connection.sock.send(b"go\n\n"), finish)


def ours(port: int, count: int) -> tuple[float, float]:
    """The same with Accord's connection."""
    finish = Event()
    count_so_far = 0

    def handle(event: EslEvent) -> None:
        nonlocal count_so_far
        for name in HEADERS:
            event.header(name)
        count_so_far += 1
        if count_so_far == count:
            finish.set()

    connection = Inbound("127.0.0.1", port, "bench")
    connection.register_handle("*", handle)
    connection.connect()
    return measure(lambda: connection.sock.send(b"go\n\n"), finish)


def measure(go: Callable[[], object], finish: Event) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    go()
    finish.wait()
    return time.perf_counter() - wall, time.process_time() - cpu


def one(run: Callable[[int, int], tuple[float, float]], event: bytes, count: int) -> tuple[float, float]:
    """One round: events a second by wall clock and by CPU time."""
    port_back: multiprocessing.Queue[int] = multiprocessing.Queue()
    feeder = multiprocessing.Process(target=feed, args=(port_back, event, count), daemon=True)
    feeder.start()
    try:
        wall, cpu = run(port_back.get(timeout=10), count)
    finally:
        feeder.terminate()
        feeder.join()
    gevent.sleep(0)
    return count / wall, count / cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    event = (Path(__file__).parent / "channel_create.event").read_bytes()
    count = options.events // 100 * 100
    rates: dict[str, list[tuple[float, float]]] = {"greenswitch": [], "accord": []}
    for _ in range(options.rounds):
        rates["greenswitch"].append(one(stock, event, count))
        rates["accord"].append(one(ours, event, count))
    by_clock = {name: statistics.median(rate[0] for rate in rounds) for name, rounds in rates.items()}
    by_cpu = {name: statistics.median(rate[1] for rate in rounds) for name, rounds in rates.items()}
    print(
        json.dumps(
            {
                "bench": "events a second",
                "events": count,
                "rounds": options.rounds,
                "event_bytes": len(event),
                "greenswitch": version("greenswitch"),
                "python": platform.python_version(),
                "by_clock": {name: round(rate) for name, rate in by_clock.items()},
                "by_cpu": {name: round(rate) for name, rate in by_cpu.items()},
                "ratio_by_clock": round(by_clock["accord"] / by_clock["greenswitch"], 1),
                "ratio_by_cpu": round(by_cpu["accord"] / by_cpu["greenswitch"], 1),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
