"""The settings of a number beside its announcement and its keep question: its name, when people are told,
outgoing calls, the reminder tone, and deletion during the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from recorder.catalogue.records import LineRow
from recorder.domain.line_policy import BEEPS, ONCE_CONNECTED, OUTBOUND_TIMINGS, TIMINGS
from recorder.domain.names import LONGEST
from recorder.errors import CatalogueError
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.features.tenants.setting_sources import line_sources
from recorder.identity import users
from web.numbers.blueprint import active_line, blueprint
from web.numbers.setup_views import for_admins
from web.state import current_visitor, login_required, now, panel_state
from web.text import errors as error_text
from web.text.sentences import sentence

NOBODY: Final = "none"
"""Who hears the tone if nobody does, in the form."""

YES, NO = "yes", "no"
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "timing": TIMINGS,
    "outbound": OUTBOUND_TIMINGS,
    "beep": (NOBODY, *BEEPS),
    "deletable": (NO, YES),
}
"""What can be chosen, by field; ``label`` is free text."""


@dataclass(frozen=True, slots=True)
class LineForm:
    """What was entered, by field."""

    values: Mapping[str, str]

    @classmethod
    def of(cls, line: LineRow) -> LineForm:
        """The settings as they are."""
        return cls(
            {
                "label": line.label,
                "timing": line.timing,
                "outbound": line.outbound,
                "beep": line.beep or NOBODY,
                "deletable": YES if line.deletable else NO,
            }
        )

    def unknown(self) -> dict[str, str]:
        """A sentence for each field that has none of its choices."""
        return {
            name: str(_("Choose one of these."))
            for name, codes in CHOICES.items()
            if self.values[name] not in codes
        }

    def change(self, line: LineRow) -> LineChange:
        """All that differs from a line's settings, as one change."""
        before = LineForm.of(line).values
        new = {name: value for name, value in self.values.items() if value != before[name]}
        beep = new.get("beep")
        return LineChange(
            label=new.get("label"),
            timing=new.get("timing"),
            outbound=new.get("outbound"),
            beep="" if beep == NOBODY else beep,
            deletable=new["deletable"] == YES if "deletable" in new else None,
        )


@blueprint.get("/numbers/<line_id>/settings")
@login_required
@for_admins
def edit_settings(line_id: str) -> str:
    line = active_line(line_id)
    return _page(line, LineForm.of(line), {})


@blueprint.post("/numbers/<line_id>/settings")
@login_required
@for_admins
def save_settings(line_id: str) -> ResponseReturnValue:
    """Change the settings from the next call on: all of them, or none."""
    line = active_line(line_id)
    form = LineForm({name: request.form.get(name, "") for name in ("label", *CHOICES)})
    if wrong := form.unknown():
        return _page(line, form, wrong), 422
    try:
        change_line(
            line.tenant,
            line.id,
            form.change(line),
            who=current_visitor().user.id,
            sources=panel_state().sources,
            now=now(),
            entropy=panel_state().entropy,
        )
    except CatalogueError as error:
        return _page(line, form, _refusal(error, form)), 422
    flash(_("Saved. It applies from the next call on."), "done")
    return redirect(url_for(".edit_settings", line_id=line.id), 303)


def _refusal(error: CatalogueError, form: LineForm) -> dict[str, str]:
    """Why the settings cannot be these, by field. Raises the error again if it concerns none."""
    if error.error_id == "line.timing":
        field = "outbound" if form.values["outbound"] == ONCE_CONNECTED else "timing"
        return {field: sentence("setup", "once_connected")}
    if error.error_id == "line.label":
        return {"label": error_text.error(error.error_id)}
    raise error


def _page(line: LineRow, form: LineForm, wrong: Mapping[str, str]) -> str:
    return render_template(
        "numbers/settings.html",
        line=line,
        values=form.values,
        choices_of=CHOICES,
        errors=wrong,
        sources=line_sources(line.tenant, line.id),
        names={each.id: each.name for each in users.users(line.tenant)},
        longest_label=LONGEST,
    )
