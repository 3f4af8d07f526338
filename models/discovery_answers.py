"""Answers of UNINEXT to samples of the tasks it was made for, with the numbers its authors publish for each of them.

Ten tasks are answered, pictures and videos (section 3.4 of arXiv 2303.06674). It discovers objects and retrieves those
that a prompt means, so regions without instances, and with them semantic and panoptic pictures, have no answer here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from benchmark.contract import Prediction, Sample, Task
from benchmark.problems import UsageError
from models.discovery import ObjectDiscovery
from models.discovery_detector import DiscoveryDetector
from models.prompted_segmenter import Frame, PromptedSegmenter
from models.task_settings import TASK_SETTINGS, InferenceRules, TargetRules
from models.text_prompts import PromptTokenizer
from models.visual_prompt import TemplateCrop

SHOWN_TASKS = (Task.SOT, Task.VOS)
TRACKED_TASKS = (Task.VIS, Task.MOT, Task.MOTS)
REGION_TASKS = (Task.SEMANTIC, Task.PANOPTIC)


class DiscoveryAnswers:
    """model: in evaluation mode; an image-level one knows no targets and no identities. rules: one row a task."""

    def __init__(
        self, model: ObjectDiscovery, *, tokenizer: PromptTokenizer, crop: TemplateCrop, rules: InferenceRules
    ) -> None:
        detector = DiscoveryDetector(model, tokenizer=tokenizer, crop=crop)
        self.prompted = PromptedSegmenter(detector, rules=rules)
        self.refused: Mapping[Task, str] = MappingProxyType(_refusals(model))

    def predict(self, frames: Sequence[Frame], sample: Sample) -> Prediction:
        """The answer to a sample. frames: one for each of the sample's, in order. Raises UsageError for other tasks."""
        reason = self.refused.get(sample.prompt.task)
        if reason is not None:
            raise UsageError(f"{sample.sample_id}: the task {sample.prompt.task} is not answered: {reason}")
        return self.prompted.predict(frames, sample)


def _refusals(model: ObjectDiscovery) -> dict[Task, str]:
    """Tasks that the model cannot answer, and why."""
    found = dict.fromkeys(
        REGION_TASKS, "UNINEXT discovers objects and knows no regions without instances. Use oneformer or unified"
    )
    if model.template_encoder is None:
        found |= dict.fromkeys(SHOWN_TASKS, "an image-level model has no encoder of targets. Use a video-level variant")
    if model.identity_head is None:
        found |= dict.fromkeys(TRACKED_TASKS, "an image-level model has no identities. Use a video-level variant")
    return found


def published_rules(
    *,
    short_side: int | None = None,
    vis_short_side: int = 480,
    vos_least_score: float | None = None,
    skips_odd_sizes: bool = False,
) -> InferenceRules:
    """How MasterBin-IIAU/UNINEXT at 5ab0386 reads off every task.

    short_side: of every task's frames in place of the published ones, for models of another size. vis_short_side: of
    video instances, 720 for OVIS. vos_least_score: masks that score lower are empty, 0.5 for YouTube-VOS.
    skips_odd_sizes: see `TargetRules`.
    """
    vis = replace(TASK_SETTINGS[Task.VIS], short_side=vis_short_side)
    tasks = {**TASK_SETTINGS, Task.VIS: vis}
    if short_side is not None:
        tasks = {task: replace(settings, short_side=short_side) for task, settings in tasks.items()}
    return InferenceRules(tasks=tasks, vos=TargetRules(least_score=vos_least_score, skips_odd_sizes=skips_odd_sizes))
