"""The provider's name, logo and colours: on every page, for everybody, and legible."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from recorder import config as settings
from recorder.colour_contrast import contrast
from recorder.errors import ConfigError
from recorder.features.branding.logo import read_logo
from recorder.seal.branding import LONGEST_LOGO
from web import create_app
from web.config import Brand
from web.state import PanelState

PIXEL = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def branded(house, clock, entropy, config):
    brand = Brand("Telco <Nord>", ("image/png", PIXEL), "#003366", "#99ccff")
    app = create_app(PanelState(replace(config, brand=brand), gate=house.gate, now=clock, entropy=entropy))
    return app.test_client()


def test_every_page_shows_name_logo_and_colours(branded):
    page = branded.get("/login").text
    assert "– Telco &lt;Nord&gt;</title>" in page
    assert 'alt="Telco &lt;Nord&gt;"' in page
    (sheet,) = re.findall(r'href="(/brand/[^"]+)"', page)
    style = branded.get(sheet)
    assert style.content_type.startswith("text/css")
    assert "#003366" in style.text
    assert "#99ccff" in style.text
    (source,) = re.findall(r'<img src="([^"]+)"', page)
    logo = branded.get(source)
    assert (logo.data, logo.content_type, logo.headers["X-Content-Type-Options"]) == (
        PIXEL,
        "image/png",
        "nosniff",
    )


def test_panel_without_a_brand_is_accords(app, browser):
    page = browser().get("/login").text
    assert "– Accord</title>" in page
    assert "/brand/" not in page
    assert browser().get("/brand/logo").status_code == 404


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ('colour = "#ffcc00"', "choose a darker one"),
        ('colour_dark = "#003366"', "choose a lighter one"),
        ('colour = "red"', "brand.colour"),
        ('name = ""', "brand.name"),
    ],
)
def test_illegible_brand_is_refused_with_a_hint(tmp_path, section, reason):
    (tmp_path / "accord.toml").write_text(f"[brand]\n{section}\n")
    with pytest.raises(ConfigError) as failure:
        settings.load(tmp_path / "accord.toml", {})
    assert reason in failure.value.message


def test_legible_brand_is_accepted(tmp_path):
    (tmp_path / "accord.toml").write_text(
        '[brand]\nname = "Telco"\ncolour = "#003366"\ncolour_dark = "#99ccff"\n'
    )
    assert settings.load(tmp_path / "accord.toml", {}).brand.colour == "#003366"


@pytest.mark.parametrize(
    ("name", "content"), [("logo.gif", PIXEL), ("none.png", None), ("big.png", bytes(LONGEST_LOGO + 1))]
)
def test_unusable_logo_is_refused(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=r"brand\.logo") as failure:
        read_logo(tmp_path / name)
    assert "50 kB" in failure.value.hint
    (tmp_path / "good.PNG").write_bytes(PIXEL)
    assert read_logo(tmp_path / "good.PNG") == ("image/png", PIXEL)
