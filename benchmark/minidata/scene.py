"""What a mini-data scene is: frozen records and the world's vocabulary, nothing drawn and nothing random.

Kinds are silhouettes (things) and texture families (stuff). Colour and pattern are free attributes that tell nothing
about the kind. Lengths are pixels, angles radians, colours RGB in 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

WORLD_VERSION = 1
"""Names the mini data together with seed and sizes: raise it whenever the same seed gives other files."""

THING_KINDS = ("disc", "box", "triangle", "star", "ring", "cross", "crescent", "hourglass")
STUFF_KINDS = ("waves", "blotches", "bricks", "grain")
NUM_THINGS = len(THING_KINDS)
NUM_KINDS = NUM_THINGS + len(STUFF_KINDS)
PATTERNS = ("plain", "striped", "checked", "dotted")

Rgb = tuple[int, int, int]

COLOURS = MappingProxyType(
    {
        "red": (208, 44, 42),
        "orange": (236, 138, 36),
        "yellow": (236, 212, 60),
        "green": (56, 160, 72),
        "cyan": (56, 190, 200),
        "blue": (52, 84, 204),
        "purple": (138, 62, 176),
        "pink": (236, 132, 184),
    }
)
"""Colour word -> typical RGB; every object's own colour lies a little off."""

SPLITS = ("train", "val", "heldout")

HELDOUT_PAIRS = frozenset(
    (kind, tuple(COLOURS)[(3 * kind_index + 1) % len(COLOURS)]) for kind_index, kind in enumerate(THING_KINDS)
)
"""(kind, colour word): appear in the split `heldout` only, never in `train` or `val`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One countable object.

    centre: (y, x). diameter: of the silhouette's nominal circle. rgb, second_rgb: its two colours.
    """

    kind: str
    colour: str
    pattern: str
    rgb: Rgb
    second_rgb: Rgb
    centre: tuple[float, float]
    diameter: float
    angle: float
    phase: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """A curved border; the side where `direction . (y, x) > offset + wave` belongs to the region.

    angle: of the direction. offset: pixels from the image's top-left corner. bend: pixels. wavelength: pixels.
    """

    angle: float
    offset: float
    bend: float
    wavelength: float
    phase: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One background region. border: None fills the whole image. low, high: the two tones of its texture."""

    kind: str
    low: Rgb
    high: Rgb
    period: float
    phase: float
    seed: int
    border: Border | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """An unlabelled band over the background. border, far_border: its two sides. rgb: its plain colour."""

    border: Border
    far_border: Border
    rgb: Rgb


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """A cluster of small things of one kind that the truth lists as a single crowd segment."""

    members: tuple[Thing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lighting:
    """A linear light gradient and sensor noise. near, far: factors at the two ends. noise: standard deviation."""

    angle: float
    near: float
    far: float
    noise: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything about one image.

    size: (height, width). regions, things: painted in this order, so later ones lie in front.
    """

    seed: int
    split: str
    size: tuple[int, int]
    regions: tuple[Region, ...]
    strip: Strip | None
    crowd: Crowd | None
    things: tuple[Thing, ...]
    lighting: Lighting
