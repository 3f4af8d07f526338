"""The masks of A2D-Sentences and JHMDB-Sentences as their authors give them, a file a frame or a file a video.

    a2d_annotation_with_instances/<video>/00030.h5   HDF5: instance [N], reMask [N, W, H] or [W, H] of a single one
    puppet_mask/<action>/<video>/puppet_mask.mat     MATLAB 5: part_mask [H, W, T]

An instance of A2D may have several masks in a file, which are united. HDF5 is read by h5py, which the extra `hdf5`
installs. https://github.com/mttr2021/MTTR reads both files so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.formats.matlab_file import read_matrix
from benchmark.problems import DataError, Problem

REMEDY = "Restore the official file"


def read_instance(path: Path, instance: int) -> NDArray[np.bool_]:
    """The mask of an instance in a frame of A2D, bool [H, W]. Raises DataError."""
    ids, drawn = _read_hdf5(path)
    planes = drawn[None] if drawn.ndim == 2 else drawn
    if ids.ndim != 1 or planes.ndim != 3 or len(planes) < len(ids):
        raise _error(path, f"holds masks of shape {drawn.shape} for {ids.size} instances, expected [N, W, H]")
    chosen = np.flatnonzero(ids == instance)
    if not len(chosen):
        raise _error(path, f"holds no instance {instance} (there are {', '.join(map(str, ids.tolist()[:9]))})")
    return np.ascontiguousarray((planes[chosen] != 0).any(axis=0).T)


def read_puppet(path: Path, frame: int) -> NDArray[np.bool_]:
    """The mask of the actor in a frame of JHMDB, bool [H, W]. frame: from 1. Raises DataError."""
    planes = read_matrix(path, "part_mask", num_sides=3)
    if not 1 <= frame <= planes.shape[2]:
        raise _error(path, f"holds {planes.shape[2]} frames, frame {frame} is asked for")
    return np.ascontiguousarray(planes[:, :, frame - 1] != 0)


def _read_hdf5(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """(instance, reMask) of a file."""
    try:
        import h5py
    except ImportError as error:
        message, remedy = "is an HDF5 file, which h5py reads", "Install it: pip install 'unisegbench[hdf5]'"
        raise DataError([Problem(place=str(path), message=message, remedy=remedy)]) from error
    try:
        with path.open("rb") as stream, h5py.File(stream, "r") as file:
            return np.asarray(file["instance"]).ravel(), np.asarray(file["reMask"])
    except FileNotFoundError as error:
        raise _error(path, "the file is missing") from error
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise _error(path, f"cannot be read ({str(error).strip()[:100]})") from error


def _error(path: Path, message: str) -> DataError:
    return DataError([Problem(place=str(path), message=message, remedy=REMEDY)])
