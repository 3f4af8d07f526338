"""Runs inside the finished environment: imports every named package and calls one compiled operator of mmcv.

`python -m benchmark.installation.verification` prints the versions and exits with 1 at the first thing that is wrong.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys

PACKAGES = {
    "torch": "torch",
    "mmengine": "onedl-mmengine",
    "mmcv": "onedl-mmcv",
    "mmdet": "onedl-mmdetection",
    "transformers": "transformers",
    "pycocotools": "pycocotools",
    "panopticapi.evaluation": "panopticapi-lite",
    "cityscapesscripts.helpers.labels": "cityscapesscripts",
    "pandas": "pandas",
    "pytest": "pytest",
}
"""Distribution by importable name: the ten packages that the suite names."""


def check_operators() -> str:
    """Where mmcv's compiled operators run; `ImportError` if the wheel came without them."""
    torch = importlib.import_module("torch")
    importlib.import_module("mmcv._ext")
    nms = importlib.import_module("mmcv.ops").nms
    device = "cuda" if torch.cuda.is_available() and _was_built_for_cuda() else "cpu"
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.1], [5.0, 5.0, 6.0, 6.0]], device=device)
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), 0.5)[1]
    if kept.tolist() != [0, 2]:
        raise RuntimeError(f"mmcv's nms keeps boxes {kept.tolist()}, expected [0, 2]")
    return device


def _was_built_for_cuda() -> bool:
    """Whether the operators were compiled with CUDA."""
    return importlib.import_module("mmcv.ops").get_compiling_cuda_version() != "not available"


def main() -> int:
    """Check everything, print one line per package; 0 if all is well."""
    for module, distribution in PACKAGES.items():
        importlib.import_module(module)
        print(f"{module} {importlib.metadata.version(distribution)}")
    print(f"mmcv operators run on {check_operators()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
