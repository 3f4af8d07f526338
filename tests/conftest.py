"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "samples"


@pytest.fixture(scope="session")
def samples_dir() -> Path:
    """Folder of official sample files with known scores; tests that need it are skipped where it is absent."""
    if not SAMPLES.is_dir():
        pytest.skip("the official sample files are not on this machine")
    return SAMPLES
