"""Why a score is suspiciously low: some samples are read again as common mistakes would have them, and compared.

Bounded work, whatever the size of the set: a few dozen samples, the first frames of videos, the best objects of images.
Good scores are left alone, except for signs that need no score (copies, ids of no sample).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from benchmark.contract import Metric, PredictionSet, SampleSet
from benchmark.labels import LabelSet
from benchmark.trust import box_readings, class_readings, mask_readings, signatures
from benchmark.trust.suspicion import Case, Diagnosis, Pair, ceiling, cut, is_gain

GOOD_IMAGES, GOOD_VIDEOS = 0.5, 0.9
"""Scores from here on are not suspicious; a shift by one frame costs a slow video little."""
IMAGES, VIDEOS = 32, 6
"""Samples that are looked at."""
READINGS = (*box_readings.READINGS, *mask_readings.READINGS, *class_readings.READINGS)
SHOWN = 3
ANSWERED = ("predictions_empty", "maps_of_two_values")
"""Signs beside which no other reading is tried: there is nothing to read."""


def diagnose(
    metric: Metric,
    score_name: str,
    labels: LabelSet,
    samples: SampleSet,
    predictions: PredictionSet,
    *,
    headline: float = math.nan,
) -> tuple[Diagnosis, ...]:
    """What is suspicious about predictions that have been scored; nothing for good ones.

    headline: the score of all samples, NaN: that of the samples looked at.
    """
    found = list(_unknown(samples, predictions))
    case = _case(metric, score_name, labels, samples, predictions)
    if case is None:
        return tuple(found)
    score = case.value() if math.isnan(headline) else headline
    if math.isnan(score):
        return tuple(found)
    signs = list(signatures.find(case, score))
    if score < _good(case) and not any(one.name in ANSWERED for one in signs):
        found += _other_reading(case, case.value())
    return (*found, *signs)


def _good(case: Case) -> float:
    return GOOD_VIDEOS if any(len(answer.frames) > 1 for _, answer in case.pairs) else GOOD_IMAGES


def _other_reading(case: Case, now: float) -> Iterator[Diagnosis]:
    """The reading that explains the score best, if one does."""
    values = []
    for reading in READINGS:
        change = reading.learn(case)
        values.append(math.nan if change is None else case.value(change))
    if np.isnan(values).all():
        return
    best = int(np.nanargmax(np.round(values, 3)))
    if is_gain(now, values[best], ceiling(case)):
        reading = READINGS[best]
        yield Diagnosis(
            name=reading.name,
            cause=reading.cause,
            remedy=reading.remedy,
            evidence=f"with {reading.phrase}, {case.score_name} would be {values[best]:.3f} instead of {now:.3f} on "
            f"{len(case.judged)} samples",
        )


def looked_at(samples: SampleSet, predictions: PredictionSet) -> list[int]:
    """Indices of the samples that are read again, spread over those that have a prediction."""
    answered = [index for index, sample_id in enumerate(samples.ids) if sample_id in predictions]
    if not answered:
        return []
    first = samples[answered[0]]
    most = VIDEOS if first.truth is not None and len(first.truth.frames) > 1 else IMAGES
    places = np.unique(np.linspace(0, len(answered) - 1, min(most, len(answered))).astype(int))
    return [answered[place] for place in places.tolist()]


def _case(
    metric: Metric, score_name: str, labels: LabelSet, samples: SampleSet, predictions: PredictionSet
) -> Case | None:
    chosen = looked_at(samples, predictions)
    if not chosen:
        return None
    pairs = tuple(_pair(samples, predictions, index) for index in chosen)
    fitting, judged = (pairs[::2], pairs[1::2]) if len(pairs) > 3 else (pairs, pairs)
    return Case(metric=metric, score_name=score_name, labels=labels, fitting=fitting, judged=judged)


def _pair(samples: SampleSet, predictions: PredictionSet, index: int) -> Pair:
    sample = samples[index]
    return cut(sample, predictions[sample.sample_id])


def _unknown(samples: SampleSet, predictions: PredictionSet) -> Iterator[Diagnosis]:
    known = frozenset(samples.ids)
    others = [sample_id for sample_id in predictions.ids if sample_id not in known]
    if others:
        shown = ", ".join(others[:SHOWN]) + (", ..." if len(others) > SHOWN else "")
        yield Diagnosis(
            name="unknown_samples",
            cause="predictions belong to no sample of this split and were left out",
            remedy="Score against the split that they were made for",
            evidence=f"{len(others):,} of {len(predictions):,} ids, such as {shown}",
        )
