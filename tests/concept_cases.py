"""Drawn-by-dice noun phrases in SA-Co's layout, three annotators and answers to them; and what the official tool says.

python tests/concept_cases.py CGF1_EVAL.PY     writes golden/concept_f1.json with facebookresearch/sam3's evaluator
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import masks

GOLDEN = Path(__file__).parent / "golden" / "concept_f1.json"
SIZE = (40, 48)
NUM_PHRASES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptCase:
    """annotators: annotation files a, b, c. results: the COCO result list. All JSON values."""

    annotators: list[dict[str, Any]]
    results: list[dict[str, Any]]

    @property
    def digest(self) -> str:
        """What the case holds, in short."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def write(self, folder: Path, subset: str) -> Path:
        """Write all files; the path of the results."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in zip("abc", self.annotators, strict=False):
            path = folder / f"gold_{subset}_merged_{name}_release_test.json"
            path.write_text(json.dumps(document), encoding="utf-8")
        (folder / "results.json").write_text(json.dumps(self.results), encoding="utf-8")
        return folder / "results.json"


def concept_case(seed: int = 0, num_annotators: int = 3) -> ConceptCase:
    """Phrases for nothing, one and many things; annotators who disagree, crowds; answers near, far and unsure."""
    dice = np.random.default_rng(seed)
    images = [
        {"id": number, "file_name": f"{number // 4}.jpeg", "text_input": f"thing {number}", "height": SIZE[0],
         "width": SIZE[1], "is_instance_exhaustive": int(dice.random() < 0.9)}
        for number in range(1, NUM_PHRASES + 1)
    ]  # fmt: skip
    rectangles = {image["id"]: [_rectangle(dice) for _ in range(int(dice.choice([0, 0, 1, 2, 5])))] for image in images}
    annotators = []
    for _ in range(num_annotators):
        annotations = []
        for image in images:
            for rectangle in rectangles[image["id"]]:
                if dice.random() < 0.9:
                    moved = rectangle + dice.integers(-1, 2, 4)
                    annotations.append(_annotation(len(annotations) + 1, image["id"], moved, dice.random() < 0.05))
        listed = [image | {"is_instance_exhaustive": int(dice.random() < 0.97) & image["is_instance_exhaustive"]}
                  for image in images]  # fmt: skip
        categories = [{"id": 1, "name": "object"}]
        annotators.append({"images": listed, "annotations": annotations, "categories": categories})
    results = []
    for image in images:
        steps = int(dice.choice([0, 2, 6]))
        answers = [one + dice.integers(-steps, steps + 1, 4) for one in rectangles[image["id"]] if dice.random() < 0.9]
        answers += [_rectangle(dice) for _ in range(int(dice.choice([0, 0, 0, 1])))]
        for rectangle in answers:
            score = float(dice.choice([0.2, 0.49, 0.5, 0.8, 0.97], p=[0.1, 0.05, 0.1, 0.35, 0.4]))
            rle = masks.encode(_filled(rectangle))
            # The official evaluator fails on several annotators where results have no boxes, which it does not use.
            shape = {"segmentation": masks.to_json(rle), "bbox": list(masks.bounding_box(rle))}
            results.append({"image_id": image["id"], "category_id": 1, "score": score, **shape})
    return ConceptCase(annotators=annotators, results=results)


def _rectangle(dice: Any) -> Any:
    """int64 [4]: left, top, width, height."""
    return np.array([*dice.integers(0, 30, 2), *dice.integers(5, 16, 2)])


def _filled(rectangle: Any) -> Any:
    """bool [H, W]; at least one pixel."""
    left, top, width, height = (int(value) for value in rectangle)
    mask = np.zeros(SIZE, bool)
    mask[max(top, 0) : max(top + height, 1), max(left, 0) : max(left + width, 1)] = True
    return mask


def _annotation(number: int, image_id: int, rectangle: Any, is_crowd: bool) -> dict[str, Any]:
    rle = masks.encode(_filled(rectangle))
    x, y, w, h = masks.bounding_box(rle)
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "area": masks.area(rle) / (SIZE[0] * SIZE[1]),
        "bbox": [x / SIZE[1], y / SIZE[0], w / SIZE[1], h / SIZE[0]],
        "segmentation": masks.to_json(rle),
        "iscrowd": int(is_crowd),
    }


def _official(tool: Path, case: ConceptCase) -> dict[str, float]:
    """Scores of the official evaluator by their names there."""
    spec = importlib.util.spec_from_file_location("cgf1_eval", tool)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cgf1_eval"] = module
    spec.loader.exec_module(module)
    with tempfile.TemporaryDirectory() as folder:
        results = case.write(Path(folder), "x")
        files = sorted(str(path) for path in Path(folder).glob("gold_x_*.json"))
        found: dict[str, float] = module.CGF1Evaluator(files, iou_type="segm").evaluate(str(results))
    return {name.removeprefix("cgF1_eval_segm_"): value for name, value in found.items()}


def main() -> None:
    """Write the golden file."""
    frozen = {
        "command": "python tests/concept_cases.py sam3/eval/cgf1_eval.py",
        "tool": "facebookresearch/sam3 99d02f2",
    }
    drawn = {f"{seed}/{num}": concept_case(seed, num) for seed, num in ((0, 3), (1, 3), (2, 1), (3, 2))}
    cases = {
        name: {"digest": case.digest, "scores": _official(Path(sys.argv[1]), case)} for name, case in drawn.items()
    }
    GOLDEN.write_text(json.dumps({**frozen, "cases": cases}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
