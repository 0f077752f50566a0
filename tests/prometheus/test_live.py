"""A real Prometheus scrapes real processes: every query of dashboard and rules has data."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from demo import run
from recorder import metrics
from tests.prometheus import pages
from tests.prometheus.installation import JOBS, Person, Prometheus, ScrapedNode, get
from tests.prometheus.test_files import queries
from tests.waiting import until

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
    pytest.mark.timeout(400),
]

COMPARED = re.compile(r" (==|!=|>=|<=|>|<) ")


@dataclass
class ScrapedInstallation:
    here: ScrapedNode
    prometheus: Prometheus
    longest_answer: float
    """Seconds that the slowest ``/readyz`` took while the store hung."""


@pytest.fixture(scope="module")
def scraped_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScrapedInstallation]:
    """Two calls without a store, then the store and users; then the store hangs, and ends."""
    here = ScrapedNode(tmp_path_factory.mktemp("installation"))
    prometheus = Prometheus(here.folder / "prometheus", here)
    try:
        here.run()
        prometheus.start()
        until("Prometheus scrapes all three", lambda: len(set(scraped(prometheus))) == len(JOBS))
        live(here)
        listen(here)
        longest_answer = hang(here)
        here.store.stop(seconds=0)
        person = Person(here.at(here.ports.web, ""))
        log_in(here, person)
        assert person.open(f"recordings/{here.recordings()[0]}")[0] == 503
        time.sleep(3)  # three scrapes of the final state
        yield ScrapedInstallation(here, prometheus, longest_answer)
    finally:
        prometheus.stop()
        here.close()


def scraped(prometheus: Prometheus) -> list[str]:
    """The jobs that were scraped."""
    return [series["metric"]["job"] for series in prometheus.api("query", query="up == 1")["result"]]


def live(here: ScrapedNode) -> None:
    """Make calls without a store, then start it."""
    away = 'accord_store_errors_total{kind="away",operation="read"}'
    here.call()
    until("a call is on", lambda: here.number(here.ports.daemon, "accord_recordings_live"), 60)
    until("the daemon is ready", lambda: here.ready(here.ports.daemon)[0] == 200)
    until("the store was asked in vain", lambda: here.number(here.ports.worker, away), 90)
    assert here.number(here.ports.worker, 'accord_spool_takes{stage="call"}') >= 0
    until(
        "a take is seen waiting",
        lambda: here.number(here.ports.worker, "accord_spool_oldest_take_age_seconds"),
    )
    status, body, _ = here.ready(here.ports.worker)
    assert (status, body["checks"]["store"]["ok"]) == (503, False)
    assert body["checks"]["store"]["hint"]
    here.put_broken_take()
    here.store.start()
    until("both calls are listed", lambda: len(here.recordings()) == 2, 120)
    until(
        "worker and panel are ready",
        lambda: {here.ready(p)[0] for p in (here.ports.worker, here.ports.panel)} == {200},
    )
    until("the broken take was set aside",
          lambda: here.number(here.ports.worker, 'accord_takes_total{outcome="quarantined"}'))  # fmt: skip


def log_in(here: ScrapedNode, person: Person) -> None:
    assert person.send("login", "login", login=run.LOGIN, password=here.password)[0] == 200


def listen(here: ScrapedNode) -> None:
    """A user mistypes the password, logs in, and plays a recording."""
    person = Person(here.at(here.ports.web, ""))
    assert person.send("login", "login", login=run.LOGIN, password="not this one")[0] == 422
    log_in(here, person)
    page = f"recordings/{here.recordings()[0]}"
    status, text, _ = person.send(page, page, purpose="agreement")
    assert status == 200
    sound = re.search(r'"/?(listen/[^"]+/audio\.opus\?play=[^"]+)"', text)
    assert sound is not None, text
    assert person.open(sound[1])[0] == 200
    assert person.open("listen/none/audio.opus?play=" + "x" * 22)[0] == 404
    assert person.open("nowhere")[0] == 404


def hang(here: ScrapedNode) -> float:
    """Stop the store; readiness still answers. Returns the longest response time in seconds."""
    longest = 0.0
    with here.stopped_store():
        for port in (here.ports.worker, here.ports.panel):
            over = time.monotonic() + 20
            while True:
                status, body, seconds = here.ready(port)
                longest = max(longest, seconds)
                # Earlier findings are used again for a while.
                if status == 503 or time.monotonic() > over:
                    break
                time.sleep(0.2)
            assert (status, body["status"]) == (503, "not_ready")
            assert not body["checks"]["store"]["ok"]
            assert body["checks"]["catalogue"]["ok"]
            assert get(here.at(port, "healthz"), 2)[0] == 200
        assert here.ready(here.ports.daemon)[0] == 200, "no call needs the store"
    return longest


def test_readiness_answers_while_the_store_hangs(scraped_installation: ScrapedInstallation) -> None:
    assert scraped_installation.longest_answer < 3.5


def test_each_process_exposes_its_declared_metrics(scraped_installation: ScrapedInstallation) -> None:
    for job, process in JOBS.items():
        status, text = get(scraped_installation.here.at(scraped_installation.here.port_of(job), "metrics"))
        assert status == 200
        metrics_shown = set(re.findall(r"^# TYPE (accord_\w+)", text, re.MULTILINE))
        assert metrics_shown == {each.name for each in metrics.METRICS.values() if process in each.on}
        if shutil.which("promtool"):
            linted = subprocess.run(
                ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60
            )
            assert linted.returncode == 0, linted.stdout + linted.stderr


def test_labels_have_no_client_input(scraped_installation: ScrapedInstallation) -> None:
    here = scraped_installation.here
    personal = [*here.recordings(), here.tenant, run.LOGIN, "3225550101", "+32"]
    for job in JOBS:
        text = get(here.at(here.port_of(job), "metrics"))[1]
        assert not [each for each in personal if each in text]
        assert len(text.splitlines()) < 1500


def test_counts_match_events(scraped_installation: ScrapedInstallation) -> None:
    here = scraped_installation.here
    for port, line, least in (
        (here.ports.daemon, 'accord_calls_total{outcome="recorded"}', 2),
        (here.ports.daemon, "accord_announcement_delay_seconds_count", 2),
        (here.ports.daemon, "accord_switch_up", 1),
        (here.ports.daemon, "accord_snapshot_lines", 2),
        (here.ports.worker, 'accord_takes_total{outcome="stored"}', 2),
        (here.ports.worker, 'accord_stage_duration_seconds_count{stage="store"}', 2),
        (here.ports.worker, 'accord_stage_failures_total{error="store_away",stage="store"}', 1),
        (here.ports.worker, 'accord_store_retries_total{operation="read"}', 1),
        (here.ports.worker, "accord_encoded_audio_seconds_total", 10),
        (here.ports.worker, "accord_encode_cpu_seconds_total", 0.05),
        (here.ports.worker, "accord_store_written_bytes_total", 20_000),
        (here.ports.worker, "accord_quarantine_takes", 1),
        (here.ports.panel, "accord_grants_total", 1),
        (here.ports.panel, "accord_listens_total", 1),
        (here.ports.panel, "accord_listen_sent_bytes_total", 10_000),
        (here.ports.panel, 'accord_refusals_total{reason="grant_over"}', 1),
        (here.ports.panel, 'accord_logins_total{result="refused"}', 1),
        (here.ports.panel, 'accord_logins_total{result="ok"}', 2),
    ):
        assert here.number(port, line) >= least, line
    assert here.number(here.ports.daemon, 'accord_calls_total{outcome="recorded"}') == 2
    for port in (here.ports.daemon, here.ports.worker, here.ports.panel):
        assert here.number(port, "accord_unhandled_errors_total") == 0


@pytest.mark.parametrize(("title", "expression"), [pytest.param(*each, id=each[0]) for each in queries()])
def test_every_dashboard_query_has_data(
    scraped_installation: ScrapedInstallation, title: str, expression: str
) -> None:
    # Of five minutes, since a busy machine takes more than one from the first request to here.
    query = expression.replace("$__rate_interval", "5m").replace("$node", ".*")
    if title == "Alerts":
        query = query.replace(',alertstate="firing"', "")  # some are still pending
    assert scraped_installation.prometheus.values(query), query


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in pages.alerts()])
def test_every_rule_can_be_evaluated(scraped_installation: ScrapedInstallation, rule: dict[str, str]) -> None:
    """Every comparison yields true or false: none is quiet for lack of data."""
    query = COMPARED.sub(r" \1 bool ", rule["expr"])
    assert "bool" in query
    assert scraped_installation.prometheus.values(query), query


def test_prometheus_loads_every_rule_and_scrapes_every_process(
    scraped_installation: ScrapedInstallation,
) -> None:
    groups = scraped_installation.prometheus.api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in pages.alerts()}
    assert {rule["health"] for rule in rules} == {"ok"}
    targets = scraped_installation.prometheus.api("targets")["activeTargets"]
    assert {(each["labels"]["job"], each["health"]) for each in targets} == {(job, "up") for job in JOBS}
    for alert in scraped_installation.prometheus.api("alerts")["alerts"]:
        assert not [text for text in alert["annotations"].values() if "error expanding" in text], alert
