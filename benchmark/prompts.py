"""What a model is asked: the task sentence and the class names of a benchmark row.

What is asked is separate from what is scored, so a job may put the sentence of another task to the same samples.
"""

from __future__ import annotations

from collections.abc import Collection

from benchmark.contract import Prompt, Task
from benchmark.labels import LabelSet

ANY_LABEL_SET = "any"
"""What a training says instead of a label set when it answers whatever is prompted."""


def task_sentence(task: Task) -> str:
    """The sentence that names the wanted kind of answer, for example "the task is panoptic"."""
    return f"the task is {task.value}"


def build_prompt(
    scored: Task, labels: LabelSet, asked: Task | None = None, *, named: Collection[int] | None = None
) -> Prompt:
    """Prompt of every sample of a row.

    scored: the row's task; it stays the kind of answer that is wanted.
    asked: the task that the sentence names instead of `scored`, or None.
    named: the class indices that a model is asked for, None: all; the other names are left empty.
    """
    names = tuple(name if named is None or index in named else "" for index, name in enumerate(labels.names))
    things = tuple(bool(flag) for flag in labels.is_thing)
    return Prompt(task=scored, sentence=task_sentence(asked or scored), labels=names, is_thing=things)
