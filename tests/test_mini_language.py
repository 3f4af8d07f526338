"""Expressions of the mini world mean exactly what they should, as somebody else understands them (`understanding`)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from understanding import Seen, understand

from benchmark import catalog
from benchmark.annotated import Expression, ExpressionKind
from benchmark.minidata import clips, language, naming
from benchmark.minidata.pools import CLIPS_FROM, Pools, pool_of
from benchmark.minidata.render import first_thing_id, render
from benchmark.minidata.scene import Scene
from benchmark.minidata.world import sample_scene, scene_seed

NUM_SCENES, NUM_CLIPS = 200, 60
SIZE = (128, 128)
STILL_KINDS = set(ExpressionKind) - {ExpressionKind.MOTION}
GOLDEN = "0a3623ed48e653ee8fb15570dbd872a19412fdc503455b06bea5286392acce6a"
"""SHA-256 of the sentences and targets of the first twenty scenes and five clips."""

Said = tuple[str, tuple[Seen, ...], tuple[Expression, ...]]


def _things(scene: Scene, seen: set[int]) -> list[Seen]:
    """What is seen of a scene; a crowd's members bear the id 0."""
    first = first_thing_id(scene)
    listed = [(first + place, place, one) for place, one in enumerate(scene.things) if first + place in seen]
    listed += [(0, -1, one) for one in (scene.crowd.members if scene.crowd else ())]
    return [
        Seen(
            id=number,
            kind=one.kind,
            colour=one.colour,
            pattern=one.pattern,
            place=(one.centre[1], one.centre[0]),
            diameter=one.diameter,
            depth=depth,
        )
        for number, depth, one in listed
    ]


@cache
def _scene(number: int) -> Said:
    """A still picture: its expressions, and what is seen of it."""
    split = ("train", "val", "heldout")[number % 3]
    scene = sample_scene(scene_seed(3, split, number), split, SIZE)
    _, truth = render(scene)
    seen = {segment.id for segment in truth.segments}
    said = language.image_expressions(scene, frozenset(seen))
    return f"{split} scene {number}", tuple(_things(scene, seen)), said


@cache
def _clip(number: int) -> tuple[Said, Said]:
    """A clip, twice: what is said of its first frame and of its motion, each with the things it is about."""
    clip = clips.sample_clip(scene_seed(3, "val", CLIPS_FROM + number), "val", SIZE)
    drawn = clips.draw(clip)
    seen = {segment.id for truth in drawn.panoptic for segment in truth.segments}
    said = language.clip_expressions(clip, frozenset(seen))
    things = _things(clip.scene, seen)
    moving = [_with_path(one, clip, drawn) for one in things]
    at_first = [one if one.is_inside is None or one.is_inside[0] else _spoiler(one) for one in moving]
    name = f"clip {number}"
    of_motion = tuple(one for one in said if one.kind is ExpressionKind.MOTION)
    of_places = tuple(one for one in said if one.kind is not ExpressionKind.MOTION)
    return (name, tuple(at_first), of_places), (name, tuple(moving), of_motion)


def _with_path(one: Seen, clip: clips.Clip, drawn: clips.DrawnClip) -> Seen:
    """The thing with its places over time; members of a crowd do not move."""
    if one.id == 0:
        path, inside = np.tile(one.place, (clip.num_frames, 1)), np.ones(clip.num_frames, bool)
    else:
        place = one.id - first_thing_id(clip.scene)
        path = np.array([clip.frame(index).things[place].centre[::-1] for index in range(clip.num_frames)])
        x, y, w, h = drawn.extents[one.id].T
        inside = (x < SIZE[1]) & (y < SIZE[0]) & (x + w > 0) & (y + h > 0)
    return Seen(**{name: getattr(one, name) for name in SAME}, path=path, is_inside=inside)


SAME = ("id", "kind", "colour", "pattern", "place", "diameter", "depth")


def _spoiler(one: Seen) -> Seen:
    """A thing that is not there at first, so that nothing said of the first frame may fit it."""
    return Seen(**{name: getattr(one, name) for name in SAME[1:]}, id=0)


def _everything() -> Iterator[Said]:
    for number in range(1, NUM_SCENES + 1):
        yield _scene(number)
    for number in range(1, NUM_CLIPS + 1):
        yield from _clip(number)


def test_every_expression_means_exactly_its_targets() -> None:
    wrong = [
        f"{name}: {one.sentence!r} is said of {one.segment_ids}, clearly fits {clear}, might fit {possible}"
        for name, things, said in _everything()
        for one in said
        for clear, possible in [understand(one.sentence, things)]
        if not clear == possible == set(one.segment_ids)
    ]
    assert not wrong, "\n".join(wrong[:20])


def test_targets_suit_the_kind_and_are_sorted() -> None:
    for _, _, said in _everything():
        for one in said:
            num = len(one.segment_ids)
            assert list(one.segment_ids) == sorted(set(one.segment_ids))
            if one.kind is ExpressionKind.NO_TARGET:
                assert num == 0
            elif one.kind is ExpressionKind.GROUP:
                assert num >= 2
            else:
                assert num == 1


@pytest.mark.parametrize("kind", sorted(STILL_KINDS))
def test_still_pictures_offer_every_kind_often(kind: ExpressionKind) -> None:
    counts = Counter(one.kind for number in range(1, NUM_SCENES + 1) for one in _scene(number)[2])
    assert counts[kind] >= 0.6 * NUM_SCENES
    assert counts[ExpressionKind.MOTION] == 0


@pytest.mark.parametrize("kind", sorted(ExpressionKind))
def test_clips_offer_every_kind_often(kind: ExpressionKind) -> None:
    counts = Counter(one.kind for number in range(1, NUM_CLIPS + 1) for part in _clip(number) for one in part[2])
    assert counts[kind] >= 0.5 * NUM_CLIPS


def test_no_two_sentences_of_a_scene_are_the_same() -> None:
    for number in range(1, NUM_SCENES + 1):
        sentences = [one.sentence for one in _scene(number)[2]]
        assert len(sentences) == len(set(sentences)) > 0


def test_every_word_is_in_the_committed_list() -> None:
    known = naming.sentence_words()
    assert known == language.vocabulary() == tuple(sorted(set(known)))
    spoken = {word for _, _, said in _everything() for one in said for word in one.sentence.split()}
    assert spoken <= set(known)
    # Nearly all of the list is in use, so it holds no dead words.
    assert len(spoken) >= 0.95 * len(known)


def test_the_same_scene_is_always_spoken_of_alike() -> None:
    numbers = [*range(1, 21)]
    text = "\n".join(
        f"{one.kind}|{one.sentence}|{one.segment_ids}"
        for said in [*(_scene(number)[2] for number in numbers), *(p[2] for n in range(1, 6) for p in _clip(n))]
        for one in said
    )
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN


def test_splits_share_no_scene() -> None:
    rows = [*catalog.BENCHMARKS.values(), *catalog.TRAINING.values()]
    sizes = Pools()
    pools: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        split, first = pool_of(row)
        for offset, num in ((0, sizes.num_images[split]), (CLIPS_FROM, sizes.num_clips[split])):
            taken = {scene_seed(0, split, offset + first + index) for index in range(num)}
            pools.setdefault((row.dataset, "train" if row.is_train else row.split), set()).update(taken)
    for dataset in {row.dataset for row in rows}:
        splits = {name: taken for (of, name), taken in pools.items() if of == dataset}
        total = sum(len(taken) for taken in splits.values())
        assert len(set().union(*splits.values())) == total, f"{dataset}: splits share scenes"


def test_the_words_are_true_of_the_pixels() -> None:
    hits = [
        _nearest_colour(image[truth.segment_id == first_thing_id(scene) + place]) == thing.colour
        for number in range(1, 41)
        for scene in [sample_scene(scene_seed(3, "train", number), "train", SIZE)]
        for image, truth in [render(scene)]
        for place, thing in enumerate(scene.things)
        if thing.pattern == "plain" and (truth.segment_id == first_thing_id(scene) + place).sum() >= 60
    ]
    assert len(hits) > 40
    assert np.mean(hits) > 0.97


def _nearest_colour(pixels: np.ndarray) -> str:  # type: ignore[type-arg]
    """The colour word whose typical RGB points the same way, whatever the light. pixels: uint8 [N, 3]."""
    typical = {
        "red": (208, 44, 42), "orange": (236, 138, 36), "yellow": (236, 212, 60), "green": (56, 160, 72),
        "cyan": (56, 190, 200), "blue": (52, 84, 204), "purple": (138, 62, 176), "pink": (236, 132, 184),
    }  # fmt: skip
    mean = np.median(pixels.astype(float), axis=0)
    return max(typical, key=lambda word: float(np.dot(mean, typical[word]) / np.linalg.norm(typical[word])))
