"""When a line's settings were last changed, and by whom, according to the log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recorder.auditlog.leaf_lookup import line_leaves
from recorder.features.tenants.line_change import OPERATOR
from recorder.lifecycle.line_history import CHANGED


@dataclass(frozen=True, slots=True)
class SettingChange:
    """The last change of a setting. ``who`` is the id of the user who made it, ``None`` for the operator."""

    at: datetime
    who: str | None


def latest_changes(tenant: str, line_id: str) -> dict[str, SettingChange]:
    """The last change of each setting of a tenant's line, by its name in the leaf ``line.changed``. What was
    never changed since the line was created is left out."""
    found: dict[str, SettingChange] = {}
    for leaf in line_leaves(tenant):
        body = leaf.body
        if leaf.kind != CHANGED or body["line"] != line_id:
            continue
        change = SettingChange(leaf.at, None if body["actor"] == OPERATOR else str(body["actor"]))
        found |= {name: change for name in body if f"{name}_was" in body}
    return found
