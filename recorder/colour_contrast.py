"""The contrast of two colours, as WCAG 2.2 defines it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LEGIBLE: Final = 4.5
"""The contrast that text needs (success criterion 1.4.3)."""

SOFT: Final = 0.12
"""Share of the brand's colour in the ground of a secondary button."""

_LIGHT: Final = ("#ffffff", "#fffdfa", "#f6f3ee")
_DARK: Final = ("#0e1a19", "#1c2226", "#14181b")
"""What the panel puts on a brand's colour, and the colour on: the text of a button, a card, the page."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """The contrast ``ratio``, 1 to 21, of a colour with a ``ground``."""

    ratio: float
    ground: str


def lowest_contrast(colour: str, *, dark: bool) -> Contrast:
    """The lowest contrast that a brand's colour (``#rrggbb``) has on the panel's light or ``dark`` pages."""
    grounds = _DARK if dark else _LIGHT
    every = (*grounds, mixed(colour, grounds[1], SOFT))
    return min((Contrast(contrast(colour, each), each) for each in every), key=lambda each: each.ratio)


def luminance(colour: str) -> float:
    """The relative luminance, 0 to 1, of ``#rrggbb``."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def mixed(colour: str, ground: str, share: float) -> str:
    """``share`` (0 to 1) of a colour in another one, as ``color-mix(in srgb, …)``."""
    parts = ((int(colour[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in parts)
