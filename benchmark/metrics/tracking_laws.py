"""Laws of HOTA, CLEAR and identity scores: what follows from their definitions alone, class by class.

HOTA: Luiten et al. (2021). CLEAR MOT: Bernardin and Stiefelhagen (2008). IDF1: Ristani et al. (2016).
"""

from __future__ import annotations

import math

from benchmark.metrics import laws
from benchmark.metrics.laws import ClassLaw, CountLaw, Law
from benchmark.metrics.track_counts import ALPHAS

LOWER_IS_BETTER = frozenset({"PTR", "MLR", "FP_per_frame"})
"""Shares of tracks that are partly tracked or mostly lost, and false positives; of all other scores more is better."""
_OF_DETECTION = ("DetA", "DetRe", "DetPr", "AssA", "AssRe", "AssPr", "LocA", "HOTA", "RHOTA")
_SHARES = ("CLR_Re", "CLR_Pr", "CLR_F1", "MTR", "PTR", "MLR", "MOTP", "MOTSP", "IDF1", "IDR", "IDP")
_AT = tuple(f"{alpha:.2f}" for alpha in ALPHAS)


def _is_root(hota: float, detection: float, association: float) -> bool:
    return laws.near(hota, math.sqrt(detection * association))


def _f1(hits: int, missed: int, false: int) -> float:
    return hits / max(1.0, hits + 0.5 * false + 0.5 * missed)


def _by_alpha() -> tuple[Law, ...]:
    names = [tuple(f"{name}@{alpha}" for name in ("HOTA", "DetA", "AssA")) for alpha in _AT]
    return tuple(ClassLaw(text="HOTA = sqrt(DetA x AssA) at every alpha", names=one, holds=_is_root) for one in names)


def _of_counts() -> tuple[Law, ...]:
    detections = ("CLR_TP", "CLR_FN", "CLR_FP")
    return (
        CountLaw(
            text="MOTA = (TP - FP - IDSW) / (TP + FN)",
            name="MOTA",
            counts=(*detections, "IDSW"),
            formula=lambda hits, missed, false, switches: (hits - false - switches) / max(1, hits + missed),
        ),
        CountLaw(text="CLR_F1 is the F1 of TP, FN and FP", name="CLR_F1", counts=detections, formula=_f1),
        CountLaw(
            text="IDF1 is the F1 of IDTP, IDFN and IDFP",
            name="IDF1",
            counts=("IDTP", "IDFN", "IDFP"),
            formula=_f1,
        ),
    )


LAWS: tuple[Law, ...] = (
    *laws.fractions(*_OF_DETECTION, "HOTA(0)", "LocA(0)", "HOTALocA(0)", *_SHARES),
    *laws.at_most_one("MOTA", "MODA", "sMOTA", "MOTAL", "MOTSA", "sMOTSA"),
    *laws.not_negative("FP_per_frame"),
    *laws.rising("MOTA", "MOTAL", "MODA"),
    *laws.rising("sMOTA", "MOTA"),
    *laws.rising("DetA", "DetRe"),
    *laws.rising("DetA", "DetPr"),
    *laws.rising("AssA", "AssRe"),
    *laws.rising("AssA", "AssPr"),
    *laws.rising("HOTA", "RHOTA"),
    *laws.rising("HOTALocA(0)", "HOTA(0)"),
    *_by_alpha(),
    *_of_counts(),
)
