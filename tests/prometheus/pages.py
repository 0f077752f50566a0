"""The tables of docs/operate/alerts.md and docs/reference/metrics.md.

``python -m tests.prometheus.pages`` writes them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from recorder import metrics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RULES = ROOT / "deploy" / "prometheus" / "accord.rules.yml"
RULE_TESTS = RULES.with_name("accord.rules.test.yml")
DASHBOARD = ROOT / "deploy" / "grafana" / "accord.json"


def alerts() -> list[dict[str, Any]]:
    """The alerting rules, in order."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def metrics_table() -> str:
    """Every metric: name, kind, labels, processes, help."""
    rows = ["| Metric | | By | Shown by | |", "|---|---|---|---|---|"]
    for each in metrics.METRICS.values():
        by = ", ".join(f"`{label}`" for label in each.labels)
        rows.append(f"| `{each.name}` | {each.kind} | {by} | {', '.join(each.on)} | {each.help} |")
    return "\n".join(rows)


def alerts_table() -> str:
    """Every alert, with the anchor that its annotation names."""
    rows = ["| Alert | | For | What it means, and what to do |", "|---|---|---|---|"]
    for rule in alerts():
        name = rule["alert"]
        description = re.sub(r"\{\{.*?\}\}", "…", rule["annotations"]["description"])
        severity, duration = rule["labels"]["severity"], rule.get("for", "")
        rows.append(f'| <a id="{name.lower()}"></a>`{name}` | {severity} | {duration} | {description} |')
    return "\n".join(rows)


PAGES = {
    DOCS / "operate" / "alerts.md": ("alerts", alerts_table),
    DOCS / "reference" / "metrics.md": ("metrics", metrics_table),
}


def filled(path: Path) -> str:
    """The page with its table regenerated."""
    name, table = PAGES[path]
    begin, end = f"<!-- {name}: made by tests/prometheus/pages.py -->\n", f"<!-- end of {name} -->"
    before, _, rest = path.read_text("utf-8").partition(begin)
    return f"{before}{begin}{table()}\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    for each in PAGES:
        each.write_text(filled(each), "utf-8")
