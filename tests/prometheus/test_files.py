"""Rules, dashboard and documentation use exactly the declared metrics."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from recorder import metrics
from recorder.spool.layout import REASONS
from tests.prometheus import pages

FOREIGN = {
    "up", "ALERTS", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
    "process_start_time_seconds",
}  # fmt: skip
"""Metrics of Prometheus itself and of every process."""

TIMELY = {
    "AccordDaemonDown", "AccordSwitchDown", "AccordEventLag", "AccordStoreDown", "AccordCatalogueDown",
    "AccordNotReady", "AccordClockOff",
}  # fmt: skip
"""Alerts that fire within a minute of a fault, and clear within a minute after its end."""

NAME = re.compile(r"\b(?:accord|process)_[a-z_]+\b|\bup\b|\bALERTS\b")
QUOTED = re.compile(r'"[^"]*"')

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (prometheus) is not installed"
)


def names(expression: str) -> set[str]:
    """The metrics in a query; histograms without their suffix."""
    found = set()
    for name in NAME.findall(QUOTED.sub("", expression)):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        histogram = metrics.METRICS.get(base)
        found.add(base if histogram is not None and histogram.kind == "histogram" else name)
    return found


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pages.DASHBOARD.read_text("utf-8"))
    return found


def queries() -> Iterator[tuple[str, str]]:
    """Title and expression of every query of the dashboard."""
    found = dashboard()
    for panel in found["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for each in found["annotations"]["list"]:
        yield each["name"], each["expr"]


def test_metric_declarations_follow_conventions() -> None:
    for each in metrics.METRICS.values():
        assert re.fullmatch(r"accord_[a-z_]+[a-z]", each.name)
        assert (each.kind == "counter") == each.name.endswith("_total"), each.name
        assert each.help.endswith("."), each.name
        assert each.on, each.name
        assert not {"recording", "tenant", "user", "id", "number", "node"} & set(each.labels), each.name
        if each.kind == "histogram":
            assert each.name.endswith("_seconds"), each.name


def test_declared_and_used_metrics_agree() -> None:
    on_dashboards = set().union(*(names(expression) for _, expression in queries()))
    in_alerts = set().union(*(names(rule["expr"]) for rule in pages.alerts()))
    assert (on_dashboards | in_alerts) - FOREIGN <= set(metrics.METRICS)
    assert set(metrics.METRICS) <= on_dashboards, "every metric is on the dashboard"


def test_page_has_the_generated_tables() -> None:
    for page in pages.PAGES:
        assert page.read_text("utf-8") == pages.filled(page), "python -m tests.prometheus.pages"
    reference = (pages.DOCS / "reference" / "metrics.md").read_text("utf-8")
    mentioned = set(re.findall(r"`(accord_[a-z_]+)`", reference))
    assert mentioned == set(metrics.METRICS)


def test_page_explains_every_outcome() -> None:
    page = (pages.DOCS / "troubleshooting.md").read_text("utf-8")
    section = page.partition("## Unrecorded calls")[2].partition("\n## ")[0]
    explained = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert set(explained) == REASONS
    (rule,) = [rule for rule in pages.alerts() if rule["alert"] == "AccordCallsNotRecorded"]
    quiet = re.search(r'outcome!~"([^"]+)"', rule["expr"])
    assert quiet is not None
    *silent, elsewhere = quiet[1].split("|")
    assert silent == ["recorded", *explained[:11]], "the first eleven are no alert"
    (own,) = [rule for rule in pages.alerts() if rule["alert"] == "AccordDialplanDidNotAsk"]
    assert f'outcome="{elsewhere}"' in own["expr"]


def test_every_alert_links_its_instructions() -> None:
    page = (pages.DOCS / "operate" / "alerts.md").read_text("utf-8")
    names = [rule["alert"] for rule in pages.alerts()]
    assert len(names) == len(set(names))
    for rule in pages.alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        annotations = rule["annotations"]
        assert len(annotations["summary"]) > 10
        assert len(annotations["description"]) > 40
        path, _, anchor = annotations["runbook"].partition("#")
        assert (pages.ROOT / path) == pages.DOCS / "operate" / "alerts.md"
        assert f'<a id="{anchor}"></a>' in page


def test_every_alert_has_a_quiet_and_a_firing_case() -> None:
    """Those of what is out of reach also clear as soon as it is back."""
    tests = {each["name"]: each for each in yaml.safe_load(pages.RULE_TESTS.read_text("utf-8"))["tests"]}
    for rule in pages.alerts():
        samples = [len(one["exp_samples"]) for one in tests[rule["alert"]]["promql_expr_test"]]
        assert samples == ([0, 1, 0] if rule["alert"] in TIMELY else [0, 1]), rule["alert"]


@promtool
@pytest.mark.parametrize(
    "what",
    [
        ["check", "rules", pages.RULES.name],
        pytest.param(["test", "rules", pages.RULE_TESTS.name], marks=pytest.mark.long),
        ["check", "config", "--syntax-only", "prometheus.yml"],
    ],
)
def test_promtool_accepts_the_rules(what: list[str]) -> None:
    process = subprocess.run(
        ["promtool", *what], cwd=pages.RULES.parent, capture_output=True, text=True, timeout=200
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_dashboard_has_grafanas_format() -> None:
    """Grafana's own types read and write it without loss, except for fields outside their schema."""
    plugins.register_default_plugins()
    ours = dashboard()
    theirs = json.loads(json.dumps(Dashboard.from_json(ours), cls=JSONEncoder))
    assert set(_differences(ours, theirs)) <= {
        "/annotations/list/titleFormat", "/annotations/list/textFormat", "/templating/list/definition"
    }  # fmt: skip


def _differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name, value in ours.items():
            if name in theirs:
                yield from _differences(value, theirs[name], f"{path}/{name}")
            else:
                yield f"{path}/{name}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for one, other in zip(ours, theirs, strict=True):
            yield from _differences(one, other, path)
    elif ours != theirs:
        yield path


def test_dashboard_layout_is_complete() -> None:
    panels = dashboard()["panels"]
    assert [each["title"] for each in panels if each["type"] == "row"] == [
        "Calls", "Spool", "Store and catalogue", "Panel", "Nodes"
    ]  # fmt: skip
    assert len({each["id"] for each in panels}) == len(panels)
    for each in panels:
        place = each["gridPos"]
        assert place["x"] + place["w"] <= 24
        if each["type"] == "row":
            continue
        assert each["datasource"]["uid"] == "${datasource}", each["title"]
        assert each["fieldConfig"]["defaults"]["unit"], each["title"]
        ids = [target["refId"] for target in each["targets"]]
        assert len(ids) == len(set(ids))
    for one, other in combinations(panels, 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    down = one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    return across and down


def test_every_dashboard_query_selects_the_chosen_nodes() -> None:
    for title, expression in queries():
        if title == "Alerts":
            continue
        selectors = re.findall(r"\b(?:accord_[a-z_]+|process_[a-z_]+|up)\b(\{[^}]*\})?", expression)
        assert selectors, title
        assert all('node=~"$node"' in selector for selector in selectors), title
