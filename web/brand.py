"""The provider's name, logo, colours and help address, for everybody: the log-in shows them, too.

What an operator sets in the panel replaces what the settings file says, value by value.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from flask import Blueprint, Flask, Response, abort, g
from werkzeug.local import LocalProxy

from recorder.features.branding.rules import LINK
from recorder.seal.branding import Branding
from web.config import Brand, SupportContact
from web.state import panel_state

blueprint = Blueprint("brand", __name__)

CACHED = "public, max-age=3600"


def current_brand() -> Brand:
    """How the panel presents the provider, for this request."""
    if "brand" not in g:
        state = panel_state()
        g.brand = apply_branding(state.config.brand, state.branding() if state.branding else None)
    return cast(Brand, g.brand)


def apply_branding(brand: Brand, branding: Branding | None) -> Brand:
    """The ``brand`` of the settings with what was set in the panel."""
    if branding is None:
        return brand
    return replace(
        brand,
        name=branding.name or brand.name,
        logo=("image/png", branding.logo) if branding.logo else brand.logo,
        colour=branding.colour or brand.colour,
        colour_dark=branding.colour_dark or brand.colour_dark,
        support=_contact(brand.support, branding.help_address),
        version=branding.number,
    )


def _contact(contact: SupportContact, address: str) -> SupportContact:
    if not address:
        return contact
    is_link = address.startswith(LINK)
    return replace(contact, mail="" if is_link else address, link=address if is_link else "")


def init_app(app: Flask) -> None:
    app.jinja_env.globals["brand"] = LocalProxy(current_brand)


def _rules(colour: str) -> str:
    soft = f"color-mix(in srgb, {colour} 12%, var(--sheet))"
    return f":root {{ --one: {colour}; --one-soft: {soft}; }}"


def brand_css(brand: Brand) -> str:
    """The style sheet that puts a brand's colours in place of the panel's."""
    light = _rules(brand.colour) if brand.colour else ""
    dark = _rules(brand.colour_dark) if brand.colour_dark else ""
    parts = (
        f"@media (prefers-color-scheme: {name}) {{ {each} }}"
        for name, each in (("light", light), ("dark", dark))
        if each
    )
    return "\n".join(parts) + "\n"


@blueprint.get("/brand/colours.css")
def stylesheet() -> Response:
    return _cached(brand_css(current_brand()), "text/css")


@blueprint.get("/brand/logo")
def logo() -> Response:
    found = current_brand().logo
    if found is None:
        abort(404)
    return _cached(found[1], found[0])


def _cached(content: str | bytes, media_type: str) -> Response:
    response = Response(content, content_type=media_type)
    response.headers["Cache-Control"] = CACHED
    return response
