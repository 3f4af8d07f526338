"""Checks of single JSON values that several layouts need.

Broken files hold anything: text for numbers, NaN, true for 1. The checks say no to all of it and never raise.
"""

from __future__ import annotations

import math
from typing import Any

LARGEST = 2**53
"""Largest number that is believed: beyond it float64 no longer tells neighbours apart."""


def shown(value: Any) -> str:
    """A value of a broken file for a message: itself if it is short and plain, else what it is."""
    if value is None or isinstance(value, bool | int | float | str):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return f"a {type(value).__name__}"


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number of a believable size (true and false are none, nor are NaN and infinity)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def is_whole(value: Any, least: int, most: int = LARGEST) -> bool:
    """Whether a JSON value is a whole number from `least` to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def are_numbers(value: Any, count: int | None = None) -> bool:
    """Whether a JSON value is a list of numbers of believable size, of the given length if any."""
    if not isinstance(value, list) or (count is not None and len(value) != count):
        return False
    try:
        # One sum tells of infinities, NaN and anything that is no number, much faster than a look at every value.
        return math.isfinite(sum(value)) and (not value or (min(value) >= -LARGEST and max(value) <= LARGEST))
    except (TypeError, OverflowError):
        return False
