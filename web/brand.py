"""The provider's logo and colours, for everybody: the log-in shows them, too."""

from __future__ import annotations

from flask import Blueprint, Response, abort

from web.config import Brand
from web.state import panel_state

blueprint = Blueprint("brand", __name__)

CACHED = "public, max-age=3600"


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
    return _cached(brand_css(panel_state().config.brand), "text/css")


@blueprint.get("/brand/logo")
def logo() -> Response:
    found = panel_state().config.brand.logo
    if found is None:
        abort(404)
    return _cached(found[1], found[0])


def _cached(content: str | bytes, media_type: str) -> Response:
    response = Response(content, content_type=media_type)
    response.headers["Cache-Control"] = CACHED
    return response
