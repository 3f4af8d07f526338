"""Fixtures shared by all tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from damaged_files import write_sound_root

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "samples"


@pytest.fixture(scope="session")
def samples_dir() -> Path:
    """Folder of official sample files with known scores; tests that need it are skipped where it is absent."""
    if not SAMPLES.is_dir():
        pytest.skip("the official sample files are not on this machine")
    return SAMPLES


@pytest.fixture
def one_seed_and_thread() -> None:
    """PyTorch on one thread, with its generator at seed 0. Imported here: most tests need no torch."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def sound_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound data root with predictions of every row; tests must leave it as it is."""
    return write_sound_root(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def data_root(sound_root: Path, tmp_path: Path) -> Path:
    """A copy of the sound data root that a test may damage."""
    return Path(shutil.copytree(sound_root, tmp_path / "data"))
