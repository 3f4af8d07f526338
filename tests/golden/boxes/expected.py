"""What the official tools say of the videos that tests/box_scenes.py draws; README.md has the command."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import types
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from box_scenes import SIZE, BoxScene, scenes

TOOLS = Path(sys.argv[1])
OCTAVE, DEVKIT_PYTHON = sys.argv[2:4]
JUDGED = ("typical", "whole_numbers", "invalid_truth", "longer_results", "never_found")
OCTAVE_ALONE = ("broken_results",)
DEVKIT = ("typical", "whole_numbers", "invalid_truth", "longer_results", "shorter_results", "halves")
RUNS = ("typical", "invalid_truth", "three_runs")


def import_tool(name: str, folder: Path, package: str) -> Any:
    """A module of pytracking or of its copy, with the module of local paths replaced by an empty one."""
    for part in (f"{package}", f"{package}.evaluation", f"{package}.utils"):
        sys.modules.setdefault(part, types.ModuleType(part))
    for part, attribute in (
        (f"{package}.evaluation.environment", "env_settings"),
        (f"{package}.utils.load_text", "load_text"),
    ):
        module = sys.modules.setdefault(part, types.ModuleType(part))
        setattr(module, attribute, None)
    module = types.ModuleType(name)
    module.__file__ = str(folder / "extract_results.py")
    exec(compile((folder / "extract_results.py").read_text(), module.__file__, "exec"), module.__dict__)
    return module


def of_curves(overlap: Any, center: Any, norm: Any) -> dict[str, float]:
    mean = [np.mean(np.asarray(curves, np.float64), axis=0) for curves in (overlap, center, norm)]
    return {
        "AUC": mean[0].mean(), "P": mean[1][20], "P_norm": mean[2][20],
        "OP50": mean[0][10], "OP75": mean[0][15], "P_norm_AUC": mean[2].mean(),
    }  # fmt: skip


def pytracking(module: Any, drawn: Sequence[BoxScene], dataset: str, *, has_flags: bool = True) -> dict[str, float]:
    """The per-frame errors of `calc_seq_err_robust`, counted as `extract_results` does, in float64."""
    whole = torch.arange(51, dtype=torch.float64)
    at = torch.arange(0.0, 1.05, 0.05, dtype=torch.float64), whole, whole / 100.0
    rows: list[list[Any]] = [[], [], []]
    for scene in drawn:
        visible = torch.tensor(~scene.absent, dtype=torch.uint8) if has_flags else None
        found, truth = torch.tensor(scene.found[:, 0]), torch.tensor(scene.truth)
        errors = module.calc_seq_err_robust(found, truth, dataset, visible)
        passed = [errors[0][:, None] > at[0], errors[1][:, None] <= at[1], errors[2][:, None] <= at[2]]
        for row, one in zip(rows, passed, strict=True):
            row.append((one.sum(0).double() / len(truth)).numpy())
    return of_curves(*rows)


def toolkit(drawn: Sequence[BoxScene], folder: Path) -> dict[str, float]:
    """LaSOT's Matlab code under Octave: `eval_tracker`, then the part of `plot_draw_save` that averages the curves."""
    work = folder / "toolkit"
    for name in ("annos/absent", "results/ours_tracking_result", "mat0", "mat1"):
        (work / name).mkdir(parents=True)
    for scene in drawn:
        np.savetxt(work / f"annos/{scene.name}.txt", scene.truth, "%.17g", ",")
        np.savetxt(work / f"annos/absent/{scene.name}.txt", scene.absent, "%d")
        np.savetxt(work / f"results/ours_tracking_result/{scene.name}.txt", scene.found[:, 0], "%.17g", ",")
    head = (TOOLS / "lasot/utils/plot_draw_save.m").read_text().splitlines()[3:18]
    (work / "means.m").write_text(
        "function [perf, bb] = means(num_tracker, ave_success_rate_plot, idx_seq_set, ranking_type, rank_idx)\n"
        + "\n".join(head) + "\nend\n"
    )  # fmt: skip
    names = ";".join(f"'{scene.name}'" for scene in drawn)
    script = f"""
    addpath('{TOOLS}/lasot/utils'); cd('{work}'); s = {{{names}}}; t = {{struct('name', 'ours')}}; n = {{'ours'}};
    eval_tracker(s, t, 'OPE', n, './mat0/', './annos/', './results/', false);
    eval_tracker(s, t, 'OPE', n, './mat1/', './annos/', './results/', true);
    a = load('mat0/aveSuccessRatePlot_1alg_overlap_OPE.mat'); b = load('mat0/aveSuccessRatePlot_1alg_error_OPE.mat');
    c = load('mat1/aveSuccessRatePlot_1alg_error_OPE.mat'); i = 1:numel(s);
    f = @(m, r, k) means(1, m.ave_success_rate_plot, i, r, k);
    printf('RESULT %.17g %.17g %.17g %.17g %.17g %.17g\\n', f(a, 'AUC', 1), f(b, 'threshold', 21), ...
        f(c, 'threshold', 21), f(a, 'threshold', 11), f(a, 'threshold', 16), f(c, 'AUC', 1));
    """
    done = subprocess.run([*OCTAVE.split(), "--eval", script], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    values = map(float, line.split()[1:])
    return dict(zip(("AUC", "P", "P_norm", "OP50", "OP75", "P_norm_AUC"), values, strict=True))


def devkit(drawn: Sequence[BoxScene], folder: Path) -> dict[str, float]:
    """TrackingNet's metrics.py on zips; the last video has no result."""
    archives = [folder / f"{name}.zip" for name in ("truth", "found")]
    for archive, side in zip(archives, ("truth", "found"), strict=True):
        with zipfile.ZipFile(archive, "w") as file:
            for scene in drawn if side == "truth" else drawn[:-1]:
                boxes = scene.truth if side == "truth" else scene.found[:, 0]
                text = "".join(",".join("nan" if v != v else repr(v) for v in row) + "\n" for row in boxes.tolist())
                file.writestr(f"{scene.name}.txt", text)
    command = [
        DEVKIT_PYTHON,
        str(TOOLS / "devkit/metrics.py"),
        "--GT_zip",
        str(archives[0]),
        "--subm_zip",
        str(archives[1]),
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    names = ("Success", "Precision", "Normalized Precision", "Coverage")
    return {
        name: float(next(line for line in reversed(lines) if line.startswith(f"{name} ")).split()[-1]) / 100
        for name in names
    }


def got10k_curves(drawn: Sequence[BoxScene]) -> dict[str, float]:
    """`ExperimentLaSOT` of the got10k toolkit."""
    from got10k.experiments.lasot import ExperimentLaSOT

    tool = ExperimentLaSOT.__new__(ExperimentLaSOT)
    tool.nbins_iou, tool.nbins_ce, tool.nbins_nce = 21, 51, 51
    rows = []
    for scene in drawn:
        boxes = scene.found[: len(scene.truth), 0].copy()
        boxes[0] = scene.truth[0]
        rows.append(tool._calc_curves(*tool._calc_metrics(boxes, scene.truth.copy())))
    return of_curves(*zip(*rows, strict=True))


def got10k(drawn: Sequence[BoxScene], folder: Path) -> dict[str, float]:
    """`ExperimentGOT10k.report` on files; SR75 from the curve of overlaps, as the server defines it."""
    from got10k.experiments.got10k import ExperimentGOT10k

    names = [scene.name for scene in drawn]
    (folder / "val").mkdir()
    (folder / "val/list.txt").write_text("\n".join(names) + "\n")
    for scene in drawn:
        home, result = folder / "val" / scene.name, folder / "results/GOT-10k/ours" / scene.name
        home.mkdir()
        result.mkdir(parents=True)
        np.savetxt(home / "groundtruth.txt", scene.truth, "%.17g", ",")
        np.savetxt(home / "cover.label", (~scene.absent) * 8, "%d")
        for name in ("absence", "cut_by_image"):
            np.savetxt(home / f"{name}.label", scene.absent, "%d")
        (home / "meta_info.ini").write_text(f"[METAINFO]\nresolution: ({SIZE[1]}, {SIZE[0]})\n")
        for number in range(len(scene.truth)):
            (home / f"{number + 1:08d}.jpg").touch()
        for run in range(scene.found.shape[1]):
            np.savetxt(result / f"{scene.name}_{run + 1:03d}.txt", scene.found[:, run], "%.17g", ",")
        np.savetxt(result / f"{scene.name}_time.txt", scene.seconds, "%.8f", ",")
    tool = ExperimentGOT10k(str(folder), "val", result_dir=str(folder / "results"), report_dir=str(folder / "reports"))
    with contextlib.redirect_stdout(sys.stderr):
        found = tool.report(["ours"], plot_curves=False)["ours"]["overall"]
    return {"AO": found["ao"], "SR50": found["sr"], "SR75": found["succ_curve"][75]}


def main() -> None:
    for name in ("wget", "fire"):
        sys.modules[name] = types.ModuleType(name)
    sys.path.insert(0, str(TOOLS / "got10k"))
    original = import_tool("original", TOOLS / "pytracking/pytracking/analysis", "pytracking")
    copy = import_tool("copy", TOOLS / "uninext/external/lib/test/analysis", "lib.test")
    result: dict[str, dict[str, Any]] = {}
    for group in JUDGED:
        drawn = scenes(group)
        result[group] = {
            "pytracking": pytracking(original, drawn, "lasot"),
            "pytracking_ext": pytracking(original, drawn, "lasot_extension_subset"),
            "uninext": pytracking(copy, drawn, "lasot"),
            "uninext_no_flags": pytracking(copy, drawn, "tnl2k", has_flags=False),
            "got10k": got10k_curves(drawn),
        }
    with tempfile.TemporaryDirectory() as folder:
        for group in (*JUDGED, *OCTAVE_ALONE):
            result.setdefault(group, {})["toolkit"] = toolkit(scenes(group), Path(folder) / f"m-{group}")
        for group in DEVKIT:
            home = Path(folder) / f"d-{group}"
            home.mkdir()
            result.setdefault(group, {})["devkit"] = devkit(scenes(group), home)
        for group in RUNS:
            home = Path(folder) / f"g-{group}"
            home.mkdir()
            result.setdefault(group, {})["average_overlap"] = got10k(scenes(group), home)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
