"""Counts of one agree with their nouns and verbs, and nothing else of a message changes."""

from __future__ import annotations

import pytest

from benchmark.problems import Problem
from benchmark.wording import agreeing


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a.zip: 1 errors, 1 warnings", "a.zip: 1 error, 1 warning"),
        ("1 of 4 frames are missing (first: 1.png)", "1 of 4 frames is missing (first: 1.png)"),
        ("1 of 1 samples have no result", "1 of 1 sample has no result"),
        ("1 of 190 pairs of splits share pictures", "1 of 190 pairs of splits shares pictures"),
        ("has 1 boxes, the video has 3 annotated frames", "has 1 box, the video has 3 annotated frames"),
        ("1 entries belong to no sample", "1 entry belongs to no sample"),
        ("1 video-text pairs", "1 video-text pair"),
        ("1,001 files are missing", "1,001 files are missing"),
        ("0.1 values, 21 files are here", "0.1 values, 21 files are here"),
        ("frame 1 has 2 boxes of class 1", "frame 1 has 2 boxes of class 1"),
        ("line 1: v1 files are read", "line 1: v1 files are read"),
    ],
)
def test_agreement(written: str, shown: str) -> None:
    assert agreeing(written) == shown


def test_problems_are_shown_so() -> None:
    problem = Problem(place="1 files", message="1 files are missing", remedy="Give them")
    assert str(problem) == "1 files: 1 file is missing. Give them"
