"""Freezes what the official tools of referring benchmarks say of `referring_cases`, in tests/golden/referring.

    python tests/official_referring.py TOOLS

TOOLS holds clones named MAttNet (3204d07), ReLA (3ca9551), gRefCOCO (41a8f00), mdetr (ea09acc), LISA (3cb2d43),
PhraseCutDataset (276470b) and Google_Refexp_toolbox (675983c). They need packages that are long dead, so what they only
import is replaced; what they compute is theirs. torch is needed. LISA computes on CUDA; on a CPU its histograms are
asked for in float32, which CUDA does by itself.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import enum
import io
import json
import re
import runpy
import shutil
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from official_digest import digest
from phrase_cases import FlickrCase, PhraseCutCase, flickr_case, phrase_cut_case
from referring_cases import Case, reasoning_case, refer_case

from benchmark import masks

GOLDEN = Path(__file__).parent / "golden" / "referring"


@contextlib.contextmanager
def modules(**stubs: Mapping[str, Any]) -> Iterator[None]:
    """Modules of the given contents while the block runs; `__` in a name stands for a dot."""
    made = {}
    for name, content in stubs.items():
        made[name.replace("__", ".")] = types.ModuleType(name)
        vars(made[name.replace("__", ".")]).update(content)
    with mock.patch.dict(sys.modules, made):
        yield


def functions(path: Path, *names: str, **scope: Any) -> dict[str, Any]:
    """The named functions and classes of a source file, executed in `scope` without the rest of the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wanted = [node for node in tree.body if getattr(node, "name", None) in names]
    exec(compile(ast.Module(wanted, []), str(path), "exec"), scope)
    return {name: scope[name] for name in names}


def mattnet(tools: Path, case: Case) -> dict[str, float]:
    """tools/eval_masks.py as a script: precisions (2 decimals of a percentage) and the unrounded overall IoU."""
    sentences = {one["sent_id"]: reference for reference in case.references for one in reference["sentences"]}
    refer = types.SimpleNamespace(
        sentToRef=sentences,
        Anns={one["id"]: one for one in case.instances["annotations"]},
        Imgs={one["id"]: one for one in case.instances["images"]},
    )
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path("cache/detections/refcoco_unc")
        folder.mkdir(parents=True)
        found = [{"det_id": place, "rle": one["segmentation"]} for place, one in enumerate(case.results)]
        (folder / "res101_coco_minus_refer_notime_masks.json").write_text(json.dumps(found))
        predictions = [{"sent_id": one["sent_id"], "pred_det_id": place} for place, one in enumerate(case.results)]
        results = Path("cache/results/refcoco_unc/dets/case_val.json")
        results.parent.mkdir(parents=True)
        results.write_text(json.dumps({"predictions": predictions}))
        Path("experiments").mkdir()
        said = io.StringIO()
        arguments = ["eval_masks.py", "--id", "case", "--split", "val"]
        with (
            modules(_init_paths={}, refer={"REFER": lambda *_: refer}),
            mock.patch.object(sys, "argv", arguments),
            contextlib.redirect_stdout(said),
        ):
            runpy.run_path(str(tools / "MAttNet/tools/eval_masks.py"), run_name="__main__")
        overall = json.loads(Path("cache/results/refcoco_unc/masks/case_val.json").read_text())["iou"]
    percent = {f"P@{key}": float(value) for key, value in re.findall(r"precision@(\S+) = (\S+)", said.getvalue())}
    return {"oIoU": overall, **percent}


def google(tools: Path, case: Case) -> float:
    """Share of sentences whose first box has IoU >= 0.5, with the toolbox's own IoU."""
    path = tools / "Google_Refexp_toolbox/google_refexp_py_lib/common_utils.py"
    text = re.sub(r"(?m)^(\s*)print .*$", r"\1pass", path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "common.py").write_text(text, encoding="utf-8")
        iou_of = functions(Path(name) / "common.py", "iou_bboxes", "area_bbox")["iou_bboxes"]
    annotations = {one["id"]: one for one in case.instances["annotations"]}
    truths = {one["ref_id"]: annotations[one["ann_id"]]["bbox"] for one in case.references}
    return float(np.mean([iou_of(one["bbox"], truths[one["ref_id"]]) >= 0.5 for one in case.results]))


def rela(tools: Path, case: Case) -> dict[str, float]:
    """ReferEvaluator of gres_model/evaluation/refer_evaluation.py, as fractions."""
    comm = {"all_gather": list, "is_main_process": lambda: True, "synchronize": lambda: None}
    with modules(
        detectron2={},
        detectron2__utils={},
        detectron2__utils__comm=comm,
        detectron2__utils__file_io={"PathManager": None},
        detectron2__evaluation={},
        detectron2__evaluation__evaluator={"DatasetEvaluator": object},
    ):
        module = runpy.run_path(str(tools / "ReLA/gres_model/evaluation/refer_evaluation.py"))
    evaluator = module["ReferEvaluator"]("case", distributed=False)
    evaluator.reset()
    references = {one["ref_id"]: one for one in case.references}
    annotations = {one["id"]: one for one in case.instances["annotations"]}
    for one in case.results:
        reference = references[one["ref_id"]]
        mask = masks.decode(masks.from_json(one["segmentation"]))
        truth = np.zeros_like(mask)
        for ann_id in reference["ann_id"]:
            if ann_id != -1:
                truth |= masks.decode(masks.from_polygons(annotations[ann_id]["segmentation"], mask.shape))
        given = {
            "image_id": reference["image_id"],
            "source": "grefcoco",
            "sentence": {"raw": ""},
            "gt_mask_merged": torch.as_tensor(truth.astype(np.uint8)),
            "empty": reference["ann_id"] == [-1],
        }
        scores = torch.as_tensor(np.stack((~mask, mask)).astype(np.float32))
        flag = torch.tensor([0.0, 1.0] if one["no_target"] else [1.0, 0.0])
        evaluator.process([given], [{"ref_seg": scores, "nt_label": flag}])
    found = evaluator.evaluate()["grefcoco"]
    return {name: value if name.endswith("_acc") else value / 100 for name, value in found.items()}


def grec(tools: Path, case: Case) -> dict[str, float]:
    """RefExpEvaluator of gRefCOCO's mdetr/datasets/refexp.py; answers without boxes carry one of score 0."""
    area = {"box_area": lambda boxes: (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])}
    with modules(torchvision={}, torchvision__ops={}, torchvision__ops__boxes=area):
        box_ops = runpy.run_path(str(tools / "mdetr/util/box_ops.py"))
    dist = types.SimpleNamespace(is_main_process=lambda: True)
    path = tools / "gRefCOCO/mdetr/datasets/refexp.py"
    scope = {
        "np": np,
        "torch": torch,
        "copy": copy,
        "dist": dist,
        "generalized_box_iou": box_ops["generalized_box_iou"],
    }
    evaluator_class = functions(path, "RefExpEvaluator", **scope)["RefExpEvaluator"]
    annotations = {one["id"]: one for one in case.instances["annotations"]}
    targets = {}
    references = {one["ref_id"]: one for one in case.references}
    for place, one in enumerate(case.results):
        listed = references[one["ref_id"]]["ann_id"]
        nothing = {"category_id": -1, "bbox": [0.0, 0.0, 0.0, 0.0]}
        targets[place] = [nothing if number == -1 else annotations[number] for number in listed]
    truth = types.SimpleNamespace(
        imgs=targets,
        getAnnIds=lambda imgIds: imgIds,
        loadImgs=lambda number: [number],
        loadAnns=lambda number: targets[number],
    )
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = evaluator_class(truth, ("bbox",))
        for place, one in enumerate(case.results):
            boxes = torch.tensor([*one["bbox"], [0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
            boxes[:, 2:] += boxes[:, :2]
            scores = torch.tensor([*one["score"], 0.0], dtype=torch.float64)
            evaluator.update({place: {"scores": scores, "boxes": boxes.float()}})
        found = evaluator.summarize()
    return {"box_F1=1": found["F1_score"], "box_N_acc": found["N_acc"], "box_T_acc": found["T_acc"]}


def lisa(tools: Path, questions: list[dict[str, Any]]) -> dict[str, Any]:
    """`validate` of train_ds.py over `get_mask_from_json` of utils/data_processing.py, with the pixels it draws."""
    draw = runpy.run_path(str(tools / "LISA/utils/data_processing.py"))["get_mask_from_json"]
    batches, counts = [], []
    for one in questions:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(one["document"], file)
            file.flush()
            mask, _, _ = draw(file.name, np.zeros((*one["size"], 3), np.uint8))
        counts.append([int((mask == 1).sum()), int((mask == 255).sum())])
        answer = masks.decode(masks.from_json(one["answer"]))
        batches.append({"pred_masks": [_tensor(answer)], "gt_masks": [_tensor(mask)]})
    for batch in batches:
        batch |= {"images": torch.zeros(1), "images_clip": torch.zeros(1)}
    tools_scope: dict[str, Any] = {"torch": torch, "np": np, "Enum": enum.Enum}
    tools_scope["dist"] = types.SimpleNamespace(all_reduce=lambda *_, **__: None, ReduceOp=types.SimpleNamespace(SUM=0))
    parts = functions(
        tools / "LISA/utils/utils.py", "Summary", "AverageMeter", "intersectionAndUnionGPU", **tools_scope
    )
    scope = {"torch": torch, "dict_to_cuda": dict, "tqdm": types.SimpleNamespace(tqdm=iter), **parts}
    validate = functions(tools / "LISA/train_ds.py", "validate", **scope)["validate"]
    model = type("Model", (), {"eval": lambda self: None, "__call__": lambda self, **given: given})()
    histogram = torch.histc
    arguments = types.SimpleNamespace(precision="fp32", local_rank=1)
    with (
        mock.patch.object(torch, "histc", lambda values, **options: histogram(values.float(), **options)),
        mock.patch.object(torch.cuda, "is_available", lambda: False),
    ):
        giou, ciou = validate(batches, model, 0, None, arguments)
    return {"gIoU": float(giou), "cIoU": float(ciou), "pixels": counts}


def phrase_cut(tools: Path, case: PhraseCutCase) -> dict[str, Any]:
    """Evaluator of utils/evaluator.py: subset -> mean_IoU, cum_IoU and P@X."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(tools / "PhraseCutDataset/utils", Path(name) / "utils")
        case.write(Path(name) / "data/VGPhraseCut_v0")
        with mock.patch.object(sys, "path", [str(Path(name) / "utils"), *sys.path]), quiet():
            evaluator = runpy.run_path(str(Path(name) / "utils/evaluator.py"))["Evaluator"](refvg_split="test")
            for image in case.images:
                own = [task["task_id"] for task in case.tasks if task["image_id"] == image["image_id"]]
                answers = {one: {"pred_mask": masks.decode(masks.from_json(case.answers[one]))} for one in own}
                evaluator.eval_single_img(image["image_id"], answers)
            for subset, values in evaluator.analyze_stats(mask_box=["mask"]).items():
                precisions = {f"P@{bound}": float(share) for bound, share in values["pred_mask_acc"].items()}
                means = {"mean_IoU": values["mean_mask_iou"], "cum_IoU": float(values["cum_mask_iou"])}
                found[subset] = means | precisions
    return found


def flickr(tools: Path, case: FlickrCase) -> dict[str, Any]:
    """Flickr30kEntitiesRecallEvaluator of mdetr's datasets/flickr_eval.py: protocol -> type -> name -> recall."""
    path = tools / "mdetr/datasets/flickr_eval.py"
    with modules(prettytable={"PrettyTable": None}, util={}, util__dist={}), mock.patch.object(sys, "path", sys.path):
        evaluator = runpy.run_path(str(path))["Flickr30kEntitiesRecallEvaluator"]
    names = {1: "R@1", 5: "R@5", 10: "R@10", -1: "upper_bound"}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, quiet():
        case.write(Path(folder))
        for protocol in ("any_box", "merged_box"):
            report = evaluator(folder, merge_boxes=protocol == "merged_box").evaluate(case.results)
            found[protocol] = {
                kind: {names[rank]: recalls[kind] for rank, recalls in report.items()} for kind in report[1]
            }
    return found


def quiet() -> contextlib.redirect_stdout[io.StringIO]:
    """Swallow what the tools print."""
    return contextlib.redirect_stdout(io.StringIO())


def _tensor(mask: Any) -> torch.Tensor:
    return torch.as_tensor(mask.astype(np.int32))[None]


def main(tools: Path) -> None:
    """Write the golden files."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    plain, general, questions = refer_case(1), refer_case(2, is_generalized=True), reasoning_case(3)
    frozen = {
        "refcoco": _content(plain) | {"official": mattnet(tools, plain) | {"box_P@0.5": google(tools, plain)}},
        "grefcoco": _content(general) | {"official": rela(tools, general) | grec(tools, general)},
        "reasonseg": {"questions": questions, "official": lisa(tools, questions)},
        "phrasecut": {"official": phrase_cut(tools, phrase_cut_case(4)), "digest": digest(phrase_cut_case(4))},
        "flickr30k": {"official": flickr(tools, flickr_case(5)), "digest": digest(flickr_case(5))},
    }
    for name, content in frozen.items():
        (GOLDEN / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def _content(case: Case) -> dict[str, Any]:
    return {"instances": case.instances, "references": case.references, "results": case.results}


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
