"""Annotated scenes as Flickr30k Entities' files: five captions a picture, and the boxes of what they speak of.

Every expression is a phrase of two captions. Two of the same things share a chain, a group's chain has several boxes; a
phrase for what is not there and the one for the whole scene have none, and the last caption has a phrase that is not
visual at all.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import masks
from benchmark.annotated import AnnotatedImage, Expression
from benchmark.formats.flickr30k import SIDES
from benchmark.formats.image_files import write_whole
from benchmark.labels import LabelSet

TYPES = {
    "person": "people",
    "accessory": "clothing",
    "animal": "animals",
    "vehicle": "vehicles",
}
"""Phrase type of COCO's supercategories; all others are "other"."""
NUM_TOGETHER = 4
"""Captions that hold phrases with boxes; one more does not."""
CHAINS_PER_PICTURE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Captioned:
    """What one picture's files say. chains: targets of an expression -> chain. types: segment id -> phrase type."""

    image: AnnotatedImage
    image_id: int
    chains: Mapping[tuple[int, ...], int]
    types: Mapping[int, str]

    @property
    def scene_chain(self) -> int:
        """The chain of the picture as a whole."""
        return self.image_id * CHAINS_PER_PICTURE

    def captions(self) -> list[str]:
        """The lines of Sentences/<id>.txt."""
        phrases = [self._phrase(one) for one in self.image.expressions]
        scene = f"[/EN#{self.scene_chain}/scene the picture]"
        together = [
            dict.fromkeys(phrases[(number + step) % len(phrases)] for step in range(2))
            for number in range(0, 2 * NUM_TOGETHER, 2)
        ]
        lines = [f"{' and '.join(pair)} in {scene} ." for pair in together]
        return [*lines, f"[/EN#0/notvisual all things] in {scene} ."]

    def boxes(self) -> ElementTree.Element:
        """The root of Annotations/<id>.xml."""
        root = ElementTree.Element("annotation")
        _add(root, {"filename": f"{self.image_id}.jpg"})
        height, width = self.image.image.shape[:2]
        _add(ElementTree.SubElement(root, "size"), {"width": width, "height": height, "depth": 3})
        named = sorted({segment_id for targets in self.chains for segment_id in targets})
        for segment_id in named:
            chains = [chain for targets, chain in self.chains.items() if segment_id in targets]
            entry = _object(root, chains)
            x, y, w, h = masks.bounding_box(masks.encode(self.image.panoptic.segment_id == segment_id))
            corners = (int(value) for value in (x, y, x + w, y + h))
            _add(ElementTree.SubElement(entry, "bndbox"), dict(zip(SIDES, corners, strict=True)))
        absent = [chain for targets, chain in self.chains.items() if not targets]
        for chain in (self.scene_chain, *absent):
            _add(_object(root, [chain]), {"scene": int(chain == self.scene_chain), "nobndbox": 1})
        return root

    def _phrase(self, one: Expression) -> str:
        types = dict.fromkeys(self.types[segment_id] for segment_id in one.segment_ids) or ["other"]
        return f"[/EN#{self.chains[one.segment_ids]}/{'/'.join(types)} {one.sentence}]"


def write_picture(folder: Path, image: AnnotatedImage, image_id: int, labels: LabelSet) -> None:
    """Write the captions and boxes of one picture. labels: of its segments, with COCO's supercategories."""
    targets = dict.fromkeys(one.segment_ids for one in image.expressions)
    first = image_id * CHAINS_PER_PICTURE + 1
    groups = {segment.id: labels.everything[segment.class_index].supercategory for segment in image.panoptic.segments}
    found = Captioned(
        image=image,
        image_id=image_id,
        chains={one: first + place for place, one in enumerate(targets)},
        types={segment_id: TYPES.get(group, "other") for segment_id, group in groups.items()},
    )
    write_whole(folder / "Sentences" / f"{image_id}.txt", "\n".join([*found.captions(), ""]).encode("utf-8"))
    root = found.boxes()
    ElementTree.indent(root)
    write_whole(folder / "Annotations" / f"{image_id}.xml", ElementTree.tostring(root))


def write_ids(path: Path, ids: Iterable[int]) -> None:
    """Write a split's list of pictures."""
    write_whole(path, "".join(f"{one}\n" for one in ids).encode("ascii"))


def _object(root: ElementTree.Element, chains: Sequence[int]) -> ElementTree.Element:
    """A new <object> that bears the names of some chains."""
    entry = ElementTree.SubElement(root, "object")
    for chain in chains:
        _add(entry, {"name": chain})
    return entry


def _add(parent: ElementTree.Element, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)
