"""The form in which an admin sets up a number: read with its mistakes, so that nothing has to be entered
twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from flask import Request

from recorder.catalogue.records import LineRow
from recorder.domain.call_plan import MODES
from recorder.errors import AccordError, CatalogueError, ConfigError
from recorder.features.tenants import setup
from recorder.features.tenants.announcements import check_purposes
from recorder.features.tenants.drafts import LineDraft, LineSettings
from recorder.features.tenants.greeting_sound import LARGEST, convert_greeting
from recorder.lifecycle import plans
from recorder.prompts.country_rules import Pack
from recorder.prompts.purposes import LANGUAGES, standard
from recorder.prompts.sentences import SHORT, WORDINGS
from recorder.prompts.sound_sources import Sources
from web.text import formats
from web.text import numbers as text
from web.text.plans import plan_limit
from web.text.sentences import plural, sentence

LONGEST_TEXT: Final = 1000
"""Characters of a greeting's text."""

SHOWN_FIRST: Final = ("languages", "purposes", "mode", "keep_days", "greeting", "greeting_text")
"""The fields that can be wrong, in the order of the page."""


@dataclass
class SetupForm:
    """What was entered; ``errors`` has a sentence by field (empty: the whole form)."""

    settings: LineSettings
    keep_days: str
    has_greeting: bool
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, draft: LineDraft) -> SetupForm:
        """The form with a draft in it."""
        return cls(draft.settings, str(draft.settings.keep_days), draft.greeting is not None)

    def summary(self) -> list[tuple[str, str]]:
        """The errors with their fields, in the order of the page."""
        return [(name, self.errors[name]) for name in SHOWN_FIRST if name in self.errors]

    def refuse(self, error: AccordError) -> None:
        """Note an error, unless its field has one already."""
        name, sentence = text.setup_error(error, SHOWN_FIRST)
        self.errors.setdefault(name, sentence)


def read_form(
    request: Request, before: LineDraft, tenant: str, line: LineRow, pack: Pack, sources: Sources
) -> tuple[SetupForm, LineDraft]:
    """The form as it was sent, and the draft that it makes of the one ``before``. A usable greeting is in the
    draft even if another field is wrong, because a browser does not send a file twice by itself."""
    fields = request.form
    first = fields.get("first", "")
    others = [each for each in LANGUAGES if each in fields.getlist("languages")]
    languages = tuple(dict.fromkeys([*([first] if first in LANGUAGES else []), *others]))
    purposes = tuple(each for each in standard() if each in fields.getlist("purposes"))
    mode, days = fields.get("mode", ""), fields.get("keep_days", "").strip()
    form = SetupForm(
        LineSettings(
            languages,
            mode if mode in MODES else "",
            purposes,
            int(days) if days.isascii() and days.isdecimal() and len(days) < 7 else 0,
            next((each for each in WORDINGS if each == fields.get("wording")), SHORT),
            " ".join(fields.get("greeting_text", "")[:LONGEST_TEXT].split()),
        ),
        days,
        before.greeting is not None,
    )
    greeting = _read_greeting(request, before.greeting, form)
    form.has_greeting = greeting is not None
    if request.form.get("no_greeting") and greeting is None:
        form.settings = replace(form.settings, greeting_text="")
    if greeting is None and form.settings.greeting_text and "greeting" not in form.errors:
        form.refuse(
            ConfigError("prompt.greeting", "no sound was uploaded", "upload a sound, or choose a text")
        )
    _check(form, tenant, pack)
    draft = LineDraft(form.settings, greeting)
    if not form.errors:
        try:
            setup.preview_draft(tenant, line, draft, sources=sources)
        except AccordError as error:
            form.refuse(error)
    return form, draft


def _read_greeting(request: Request, before: bytes | None, form: SetupForm) -> bytes | None:
    """The greeting that was sent, or the one that there was; an unusable one is an error."""
    file = request.files.get("greeting")
    content = b"" if file is None else file.stream.read(LARGEST + 1)
    if file is None or not (content or file.filename):
        return None if request.form.get("no_greeting") else before
    if len(content) > LARGEST:
        form.errors["greeting"] = sentence("setup", "file_too_large", size=formats.size(LARGEST))
        return before
    try:
        return convert_greeting(content)
    except AccordError as error:
        form.refuse(error)
        return before


def _check(form: SetupForm, tenant: str, pack: Pack) -> None:
    """Every field by itself, so that all mistakes are shown at once."""
    settings = form.settings
    if not settings.languages:
        form.refuse(
            CatalogueError("line.languages", "no language was chosen", "choose at least one language")
        )
    if not settings.mode:
        form.refuse(CatalogueError("line.settings", "no mode was chosen", "choose one of the modes shown"))
    if form.has_greeting and not settings.greeting_text and "greeting" not in form.errors:
        form.refuse(CatalogueError("prompt.greeting_text", "the greeting has no text", "write the greeting"))
    try:
        check_purposes(tenant, settings.purposes, 1)
    except CatalogueError as error:
        form.refuse(error)
        return
    most = min(text.longest_days(each, pack.rule(each).longest_keep_days) for each in settings.purposes)
    plan = plans.plan_of(tenant)
    if settings.keep_days < 1:
        form.errors["keep_days"] = sentence("setup", "retention_range", most=str(most))
    elif settings.keep_days > most:
        form.errors["keep_days"] = plural("days_at_most", most)
    elif plan.longest_keep_days is not None and settings.keep_days > plan.longest_keep_days:
        form.errors["keep_days"] = plan_limit(plan.longest_keep_days)
    for each in pack.objections(settings.purposes, keep_days=settings.keep_days, mode=settings.mode or None):
        form.errors[each.kind] = text.objection(each, pack.code)
