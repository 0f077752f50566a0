"""What a change of a number's announcement or keep question changes, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import gettext as _

from recorder.catalogue.records import KeepOptions, LineRow
from recorder.features.tenants.drafts import LineSettings
from recorder.features.tenants.line_proposals import changed_settings, widened_answers, widened_settings
from recorder.lifecycle.line_proposals import UNCHANGED, LineProposal
from web.text import formats
from web.text.numbers import language_name
from web.text.retention import purpose_list
from web.text.sentences import sentence


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting with its value before and after; ``is_wider``: callers would be promised more."""

    label: str
    before: str
    after: str
    is_wider: bool


def setting_changes(before: LineSettings, after: LineSettings) -> list[SettingChange]:
    """The settings that differ, in the order of the page that sets a number up."""
    labels = {
        "purposes": _("Recorded for"),
        "mode": _("How callers agree"),
        "keep_days": _("Kept for"),
        "languages": _("Languages"),
        "wording": _("Wording"),
        "greeting_text": _("Greeting"),
    }
    wider = widened_settings(before, after)
    old, new = _in_words(before), _in_words(after)
    return [
        SettingChange(labels[name], old[name], new[name], name in wider)
        for name in changed_settings(before, after)
    ]


def proposed_changes(
    line: LineRow, proposal: LineProposal, before: LineSettings, after: LineSettings
) -> list[SettingChange]:
    """What a proposal for a line changes, of the announcement and of the keep question."""
    changes = setting_changes(before, after)
    if proposal.keep is not UNCHANGED:
        changes += _keep_changes(line.keep, proposal.keep, after)
    return changes


def _keep_changes(
    before: KeepOptions | None, after: KeepOptions | None, announced: LineSettings
) -> list[SettingChange]:
    labels = {
        "way": _("Question during the call"),
        "yes": sentence("keep_part", "yes"),
        "none": _("Without a yes"),
        "at_start": _("Ask automatically when the conversation begins"),
        "wording": _("Wording"),
    }
    wider = widened_answers(before, after, announced)
    old, new = _keep_in_words(before, announced), _keep_in_words(after, announced)
    return [
        SettingChange(label, old[name], new[name], name in wider)
        for name, label in labels.items()
        if name in old.keys() & new.keys() and old[name] != new[name]
    ]


def _keep_in_words(keep: KeepOptions | None, announced: LineSettings) -> Mapping[str, str]:
    announced_days = formats.days(announced.keep_days)
    if keep is None:
        unanswered = sentence("without_yes", "keep", time=announced_days)
        return {"way": "–", "yes": "–", "none": unanswered, "at_start": _("No")}
    time = _("Kept for %(time)s", time=formats.days(keep.keep_days))
    return {
        "way": sentence("keep_way", "own_words" if keep.own_words else "question"),
        "yes": f"{time} · {purpose_list([keep.purpose])}",
        "none": sentence("without_yes", "destroy" if keep.destroy else "keep", time=announced_days),
        "at_start": _("Yes") if keep.at_start else _("No"),
        "wording": sentence("wording", keep.wording),
    }


def _in_words(settings: LineSettings) -> Mapping[str, str]:
    return {
        "purposes": purpose_list(settings.purposes),
        "mode": sentence("mode", settings.mode),
        "keep_days": formats.days(settings.keep_days),
        "languages": ", ".join(map(language_name, settings.languages)),
        "wording": sentence("wording", settings.wording),
        "greeting_text": settings.greeting_text or "–",
    }


def proposed_by(proposal: LineProposal, names: Mapping[str, str]) -> str:
    """Who proposed a change, and when, as the customer reads it; ``names`` are those of the provider's
    people, by id."""
    when = formats.moment(proposal.at)
    if (name := names.get(proposal.person or "")) is not None:
        return str(_("Proposed by %(name)s, for your provider, on %(time)s.", name=name, time=when))
    return str(_("Proposed by your provider on %(time)s.", time=when))


def proposed_by_us(proposal: LineProposal, names: Mapping[str, str]) -> str:
    """The same, as the provider's people read it."""
    when = formats.moment(proposal.at)
    if (name := names.get(proposal.person or "")) is not None:
        return str(_("Proposed by %(name)s on %(time)s.", name=name, time=when))
    return str(_("Proposed on %(time)s.", time=when))
