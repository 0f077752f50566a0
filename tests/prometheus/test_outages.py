"""Alerts fire within a minute of a fault and clear within a minute after its end: real processes, PostgreSQL
and Prometheus, with the shipped intervals. ``pytest -s`` prints the seconds."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recorder.clock import utc_now
from recorder.seal import revocation, signing
from tests.faults.disks import MIB, SmallDisk
from tests.faults.test_clock import FakedClock
from tests.faults.test_clock import faked_clock as faked_clock
from tests.postgres import Server, binaries
from tests.prometheus.event_socket import EventSocket
from tests.prometheus.installation import Prometheus, ScrapedNode
from tests.prometheus.test_live import scraped
from tests.waiting import until

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
    pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server is installed (postgresql)"),
    pytest.mark.timeout(600),
]

LIMIT = 60.0
"""Seconds that an alert may take to fire, and to clear."""


LOG_BYTES = 6000
"""What the worker may log in an outage: of a database and a store, some lines each."""


class Site:
    """An installation on PostgreSQL, with a store on a small disk, and its Prometheus."""

    def __init__(self, folder: Path, disk: SmallDisk, clock: FakedClock) -> None:
        self.disk, self.clock, self.postgres = disk, clock, Server()
        self.here = ScrapedNode(
            folder,
            settings={
                "ACCORD_CATALOGUE_URL": self.postgres.url("postgres"),
                "ACCORD_STORE_EMBEDDED": "false",
                "ACCORD_STORE_KIND": "directory",
                "ACCORD_STORE_PATH": str(disk.folder),
            },
            worker_environment=clock.environment,
        )
        self.switch = EventSocket(self.here.ports.event_socket)
        self.prometheus = Prometheus(folder / "prometheus", self.here, quick=False)

    def alerts_on(self) -> set[str]:
        alerts = self.prometheus.api("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def seconds_until(self, names: set[str], *, fires: bool) -> dict[str, float]:
        """The seconds until each of these alerts fires, or has cleared."""
        start, seconds = time.monotonic(), dict[str, float]()
        while missing := names - seconds.keys():
            now = time.monotonic() - start
            assert now < LIMIT, f"not within {LIMIT:.0f} s: {missing}, {fires=}"
            alerts = self.alerts_on()
            seconds |= {name: round(now, 1) for name in missing if (name in alerts) is fires}
            time.sleep(0.2)
        return seconds


@pytest.fixture
def site(tmp_path: Path, faked_clock: FakedClock) -> Iterator[Site]:
    disk = SmallDisk(tmp_path / "store", "tmpfs", 4 * MIB)
    site = Site(tmp_path / "installation", disk, faked_clock)
    try:
        site.here.run()
        site.prometheus.start()
        yield site
    finally:
        site.prometheus.stop()
        site.here.close()
        site.switch.stop()
        site.postgres.close()
        disk.end()


def test_alerts_fire_and_clear_within_a_minute(site: Site) -> None:
    until("Prometheus scrapes all three", lambda: len(set(scraped(site.prometheus))) == 3)
    ports = (site.here.ports.daemon, site.here.ports.worker, site.here.ports.panel)
    until("all are ready", lambda: {site.here.ready(port)[0] for port in ports} == {200})
    until("no alert is left of the start", lambda: not site.alerts_on())
    keys = site.here.context.settings.keys_folder
    panel = signing.load_endorsement(keys / signing.PANEL_ENDORSEMENT).key_id
    revoked = keys / f"{panel}{revocation.SUFFIX}"

    def break_first() -> None:
        site.postgres.stop(signal.SIGQUIT)
        site.disk.fill()
        site.switch.stop()

    def mend_first() -> None:
        site.postgres.start()
        site.disk.free()
        site.switch.start()

    def break_second() -> None:
        root = signing.load_private(keys / signing.ROOT_KEY)
        revoked.write_bytes(revocation.revoke(root, panel, utc_now()))
        site.clock.set("+5m")
        site.switch.lag = 3.0

    def mend_second() -> None:
        revoked.unlink()
        site.clock.set("+0")
        site.switch.lag = 0.0

    faults: list[tuple[set[str], Callable[[], None], Callable[[], None]]] = [
        ({"AccordCatalogueDown", "AccordStoreDown", "AccordSwitchDown"}, break_first, mend_first),
        ({"AccordNotReady", "AccordClockOff", "AccordEventLag"}, break_second, mend_second),
    ]
    log = site.here.folder / "worker.log"
    for names, make, mend in faults:
        before = log.stat().st_size
        make()
        fired = site.seconds_until(names, fires=True)
        growth = log.stat().st_size - before
        assert growth < LOG_BYTES, "each fault is logged once"
        mend()
        cleared = site.seconds_until(names, fires=False)
        print(f"{growth} bytes of the worker's log in {max(fired.values()):.0f} s of outage")
        for name in sorted(names):
            print(f"{name:24} fired after {fired[name]:4} s, cleared after {cleared[name]:4} s")
    assert not site.alerts_on(), "and none comes late"
