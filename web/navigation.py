"""The panel's navigation: what the visitor's role may use, and what this panel has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask, current_app, request, url_for
from flask_babel import lazy_gettext as _l

from recorder.domain.roles import ADMIN, AUDITOR, CUSTOMER, OPERATOR, PROVIDER_ROLES, ROLES, SUPPORT
from web.state import visitor


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A page of the navigation: its endpoint, name, icon, the roles that may use it, and the blueprints and
    other endpoints whose pages belong to it."""

    endpoint: str
    name: object
    icon: str
    roles: tuple[str, ...] = ROLES
    blueprints: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NavigationLink:
    """An entry as the page shows it.  ``current`` is the value of ``aria-current``: ``page``, ``true`` if the
    page that is shown belongs to it, or empty."""

    address: str
    name: object
    icon: str
    current: str


PAGES = (
    NavigationEntry(
        "call_list.list_calls", _l("Calls"), "phone", blueprints=("call_list", "playback", "contacts")
    ),
    NavigationEntry("live.list_calls", _l("Live"), "radio", blueprints=("live",)),
    NavigationEntry(
        "disputes.list_disputes",
        _l("Together"),
        "handshake",
        (ADMIN, CUSTOMER),
        blueprints=("disputes", "rooms"),
    ),
    NavigationEntry("numbers.show", _l("Numbers"), "hash", blueprints=("numbers",)),
    NavigationEntry("team.show", _l("Team"), "users", (ADMIN,), ("team",)),
    NavigationEntry(
        "compliance.show",
        _l("Compliance"),
        "shield-check",
        (ADMIN,),
        ("compliance", "subject_requests", "offboarding", "access_log"),
        (
            "retention.show_limits",
            "retention.preview_limit",
            "retention.change_limit",
            "own_call.edit_setting",
        ),
    ),
    NavigationEntry("access_log.show", _l("Access log"), "file-text", (AUDITOR,), ("access_log",)),
    NavigationEntry(
        "provider.list_customers",
        _l("Customers"),
        "building-2",
        (OPERATOR,),
        endpoints=("provider.invite_customer", "provider.renew_invitation"),
    ),
    NavigationEntry("provider.list_nodes", _l("Nodes"), "server", (OPERATOR,)),
    NavigationEntry("branding.edit_settings", _l("Settings"), "settings-2", (OPERATOR,)),
    NavigationEntry(
        "disputes.show_queue", _l("Open questions"), "handshake", (SUPPORT,), ("disputes", "rooms")
    ),
)
"""In the order of the navigation.  Entries whose endpoint is not part of this panel are left out."""

MENU = (
    NavigationEntry("call_list.show_rates", _l("How calls go"), "chart-no-axes-column"),
    NavigationEntry("usage.show", _l("Usage"), "chart-no-axes-column", (ADMIN,), ("usage",)),
    NavigationEntry(
        "account.show", _l("Your account"), "key-round", (*ROLES, *PROVIDER_ROLES), blueprints=("account",)
    ),
    NavigationEntry(
        "company.edit_company", _l("Your company"), "building-2", (ADMIN,), ("company", "api_tokens")
    ),
    NavigationEntry("first_day.show", _l("First day"), "circle-check", (ADMIN,), ("first_day",)),
    NavigationEntry("help.show", _l("Help"), "circle-question-mark", blueprints=("help",)),
)
"""In the menu with the visitor's name."""


def _links(entries: Sequence[NavigationEntry]) -> list[NavigationLink]:
    person = visitor()
    role = person.user.role if person else None
    return [
        NavigationLink(url_for(each.endpoint), each.name, each.icon, _current(each))
        for each in entries
        if role in each.roles and has_page(each.endpoint)
    ]


def _current(entry: NavigationEntry) -> str:
    if request.endpoint == entry.endpoint:
        return "page"
    return "true" if request.blueprint in entry.blueprints or request.endpoint in entry.endpoints else ""


def navigation() -> list[NavigationLink]:
    return _links(PAGES)


def menu_links() -> list[NavigationLink]:
    return _links(MENU)


def has_page(endpoint: str) -> bool:
    """Whether this panel has a page."""
    return endpoint in current_app.view_functions


def init_app(app: Flask) -> None:
    app.jinja_env.globals.update(navigation=navigation, menu_links=menu_links, has_page=has_page)
