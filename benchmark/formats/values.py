"""Checks of single JSON values that several layouts need.

Broken files hold anything: text for numbers, NaN, true for 1. The checks say no to all of it and never raise.
"""

from __future__ import annotations

import math
from typing import Any


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number (true and false are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def are_numbers(value: Any, count: int | None = None) -> bool:
    """Whether a JSON value is a list of finite numbers, of the given length if any."""
    if not isinstance(value, list) or (count is not None and len(value) != count):
        return False
    try:
        # One sum tells of infinities, NaN and anything that is no number, much faster than a look at every value.
        return math.isfinite(sum(value))
    except TypeError:
        return False
