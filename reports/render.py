"""Pictures of samples: the image, the truth and the prediction beside each other, drawn by task.

Panoptic: coloured segments with borders and names. Instance: masks, boxes and scores. Semantic: class colours. Void
and ignored pixels are hatched grey, crowds are hatched in their colour. Classes keep the colours of their label set.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmark import masks
from benchmark.contract import Annotation, Instances, LabelMap, Panoptic, Prediction, Sample, Task
from benchmark.labels import LabelClass, LabelSet
from reports.sources import read_image

Picture = NDArray[np.uint8]
"""uint8 [H, W, 3], RGB."""

TILE_WIDTH = 384
"""Of enlarged pictures; photographs are shown a quarter wider."""
MIN_SCORE = 0.5
_MAX_OBJECTS = 30
_VOID = (128, 128, 128)
OBJECT_COLOURS = (
    *((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233)),
    *((148, 103, 189), (240, 228, 66), (127, 127, 127), (188, 80, 80)),
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of a panel. title: "image", "truth" or "prediction". alt: what it shows, in words."""

    title: str
    alt: str
    picture: Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One sample. rank: "best", "median", "worst" or another reason to show it. legend: (class name, colour).

    question: what the model was asked where every sample has its own question, as an expression; else "".
    """

    sample_id: str
    rank: str
    score_text: str
    tiles: tuple[Tile, ...]
    legend: tuple[tuple[str, tuple[int, int, int]], ...]
    question: str = ""


def panel(sample: Sample, prediction: Prediction, labels: LabelSet, *, rank: str, score_text: str = "") -> Panel:
    """Image, truth and prediction of one image sample; raises DataError when the image file cannot be read."""
    image = read_image(sample)
    answers: list[tuple[str, Annotation]] = [("prediction", prediction.frames[0])]
    if sample.truth is not None:
        answers.insert(0, ("truth", sample.truth.frames[0]))
    tiles = [Tile("image", f"image {sample.sample_id}", _scaled(image))]
    like = answers[0][1]
    tiles += [Tile(name, f"{name}: {describe(one, labels)}", draw(image, one, labels, like)) for name, one in answers]
    seen = {index: None for _, frame in answers for index in _classes(frame, labels)}
    legend = tuple((labels.everything[index].name, labels.everything[index].color) for index in sorted(seen))
    named = legend if not isinstance(prediction.frames[0], Instances) else ()
    return Panel(
        sample_id=sample.sample_id,
        rank=rank,
        score_text=score_text,
        tiles=tuple(tiles),
        legend=named,
        question=question_of(sample),
    )


def question_of(sample: Sample) -> str:
    """The expression that a sample asks for, or ""."""
    return sample.prompt.sentence or "" if sample.prompt.task in (Task.REFERRING, Task.RVOS) else ""


def draw(image: Picture, frame: Annotation, labels: LabelSet, like: Annotation | None = None) -> Picture:
    """One annotation over its image, about `TILE_WIDTH` pixels wide.

    like: the annotation whose object colours are kept for the objects that match one of its own.
    """
    match frame:
        case Panoptic():
            return _draw_panoptic(image, frame, labels)
        case LabelMap():
            return _draw_label_map(image, frame, labels)
        case Instances():
            return draw_instances(image, frame, labels, _colors(frame, like))


def to_png(picture: Picture) -> bytes:
    """PNG bytes."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def to_webp(picture: Picture, quality: int = 82) -> bytes:
    """Lossy WebP bytes, a quarter of the PNG: what the page embeds."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "WEBP", quality=quality, method=4)
    return out.getvalue()


def compose(shown: Panel) -> Picture:
    """A panel as one picture: tiles side by side under their titles, the legend below."""
    gap, head = 8, 22
    height = max(tile.picture.shape[0] for tile in shown.tiles)
    width = sum(tile.picture.shape[1] + gap for tile in shown.tiles) - gap
    legend = _legend_rows(shown.legend, width)
    sheet = Image.new("RGB", (width, head + height + 20 * len(legend) + (6 if legend else 0)), "white")
    pen = ImageDraw.Draw(sheet)
    left = 0
    for tile in shown.tiles:
        title = (
            f"{tile.title}   {shown.sample_id}   {shown.rank} {shown.score_text}"
            if tile.title == "image"
            else tile.title
        )
        pen.text((left + 2, 4), title, fill="black", font=_font(12))
        sheet.paste(Image.fromarray(tile.picture), (left, head))
        left += tile.picture.shape[1] + gap
    for number, row in enumerate(legend):
        for x, name, color in row:
            top = head + height + 6 + 20 * number
            pen.rectangle((x, top + 2, x + 12, top + 14), fill=color, outline="black")
            pen.text((x + 17, top), name, fill="black", font=_font(12))
    return np.asarray(sheet)


def _legend_rows(
    legend: Sequence[tuple[str, tuple[int, int, int]]], width: int
) -> list[list[tuple[int, str, tuple[int, int, int]]]]:
    """Entries with their x position, broken into lines."""
    rows: list[list[tuple[int, str, tuple[int, int, int]]]] = []
    x = width
    for name, color in legend:
        step = 32 + round(_font(12).getlength(name))
        if x + step > width:
            rows.append([])
            x = 0
        rows[-1].append((x, name, color))
        x += step
    return rows


def _draw_panoptic(image: Picture, frame: Panoptic, labels: LabelSet) -> Picture:
    canvas = _scaled(image)
    ids = _scaled_map(frame.segment_id, canvas)
    paint = np.zeros_like(canvas)
    hatch = _hatch(canvas.shape[:2])
    met: dict[int, int] = {}
    names: list[tuple[NDArray[np.bool_], str]] = []
    known = np.zeros(ids.shape, bool)
    for segment in frame.segments:
        region = ids == segment.id
        if not region.any():
            continue
        known |= region
        label = labels.everything[segment.class_index]
        met[segment.class_index] = met.get(segment.class_index, -1) + 1
        paint[region] = _shade(label.color, met[segment.class_index] if label.is_thing else 0)
        if segment.is_crowd:
            paint[region & hatch] = 255
        names.append((region, f"{label.name} (crowd)" if segment.is_crowd else label.name))
    paint[~known] = _VOID
    paint[~known & hatch] = 60
    mixed = _mix(canvas, paint, 0.62)
    mixed[_borders(ids)] = 255
    return _with_names(mixed, names)


def _draw_label_map(image: Picture, frame: LabelMap, labels: LabelSet) -> Picture:
    canvas = _scaled(image)
    indices = _scaled_map(frame.class_index.astype(np.int32), canvas)
    palette = np.array([label.color for label in labels.classes] + [_VOID], np.uint8)
    is_void = indices >= labels.num_classes
    paint = palette[np.where(is_void, labels.num_classes, indices)]
    paint[is_void & _hatch(canvas.shape[:2])] = 60
    mixed = _mix(canvas, paint, 0.75)
    mixed[_borders(indices)] = 255
    found = [index for index in np.unique(indices) if index < labels.num_classes]
    return _with_names(mixed, [(indices == index, labels.classes[index].name) for index in found])


def draw_instances(
    image: Picture, frame: Instances, labels: LabelSet, colors: Mapping[int, tuple[int, int, int]]
) -> Picture:
    """Objects over their image. colors: of each shown object, by its position."""
    canvas = _mix(_scaled(image), np.full_like(_scaled(image), 245), 0.25)
    ratio = canvas.shape[1] / image.shape[1]
    hatch = _hatch(canvas.shape[:2])
    shown = shown_objects(frame)
    rles = frame.masks or ()
    for index in reversed(shown) if rles else ():
        color = np.array(colors[index], np.uint8)
        region = _scaled_map(masks.decode(rles[index]).astype(np.int32), canvas) > 0
        canvas[region] = (0.45 * canvas[region] + 0.55 * color).astype(np.uint8)
        if frame.is_crowd[index]:
            canvas[region & hatch] = 255
        canvas[_borders(region.astype(np.int32)) & region] = color
    sheet = Image.fromarray(canvas)
    pen = ImageDraw.Draw(sheet)
    for index in reversed(shown):
        x0, y0, x1, y1 = _corners(frame, index, ratio)
        pen.rectangle((x0, y0, x1, y1), outline=colors[index])
        name = labels.everything[int(frame.class_index[index])].name
        note = " (crowd)" if frame.is_crowd[index] else "" if frame.score[index] == 1 else f" {frame.score[index]:.2f}"
        _tag(pen, (x0, y0), name + note, sheet.size)
    return np.asarray(sheet)


def shown_objects(frame: Instances) -> list[int]:
    """Positions of the objects that a tile shows: the most confident ones, best first."""
    order = np.argsort(-frame.score, kind="stable")
    return [int(index) for index in order if frame.score[index] >= MIN_SCORE][:_MAX_OBJECTS]


def _colors(frame: Instances, like: Annotation | None) -> dict[int, tuple[int, int, int]]:
    """A colour for each shown object: that of the object of `like` it overlaps by half, or the next free one."""
    shown = shown_objects(frame)
    if like is frame or not isinstance(like, Instances) or frame.masks is None or like.masks is None or not shown:
        return {index: OBJECT_COLOURS[place % len(OBJECT_COLOURS)] for place, index in enumerate(shown)}
    known = _colors(like, None)
    free = len(known)
    overlap = masks.iou([frame.masks[index] for index in shown], [like.masks[index] for index in known])
    found: dict[int, tuple[int, int, int]] = {}
    for row, index in zip(overlap, shown, strict=True):
        best = int(row.argmax()) if row.size and row.max() >= 0.5 else None
        found[index] = OBJECT_COLOURS[free % len(OBJECT_COLOURS)] if best is None else known[list(known)[best]]
        free += best is None
    return found


def _corners(frame: Instances, index: int, ratio: float) -> tuple[float, float, float, float]:
    """Left, top, right, bottom on the tile; from the mask where there is one."""
    if frame.masks is not None:
        x, y, width, height = masks.bounding_box(frame.masks[index])
        box = (x, y, x + width, y + height)
    else:
        a, b, c, d = (float(value) for value in frame.boxes[index])
        box = (a, b, c, d) if frame.box_format == "xyxy" else (a, b, a + c, b + d)
    x0, y0, x1, y1 = (ratio * value for value in box)
    return x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)


def _with_names(picture: Picture, names: Sequence[tuple[NDArray[np.bool_], str]]) -> Picture:
    """Write each region's name at its widest place, where it is large enough to carry it."""
    sheet = Image.fromarray(picture)
    pen = ImageDraw.Draw(sheet)
    for region, name in names:
        padded = np.pad(region, 1).astype(np.uint8)
        depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
        if depth.max() < 13:
            continue
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        _tag(pen, (x - _font(14).getlength(name) / 2, float(y) + 9), name, sheet.size)
    return np.asarray(sheet)


def _tag(pen: ImageDraw.ImageDraw, corner: tuple[float, float], name: str, size: tuple[int, int]) -> None:
    """White text on a dark plate above `corner` (x, y), moved inside the picture."""
    width, height = _font(14).getlength(name) + 6, 18
    x = min(max(0.0, corner[0]), max(0.0, size[0] - width))
    y = min(max(0.0, corner[1] - height), max(0.0, size[1] - height))
    pen.rectangle((x, y, x + width, y + height), fill=(20, 24, 28))
    pen.text((x + 3, y), name, fill="white", font=_font(14))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shade(color: tuple[int, int, int], number: int) -> NDArray[np.uint8]:
    """The n-th variation of a class colour, so that neighbours of one class differ."""
    factor, offset = ((1.0, 0), (0.72, 0), (0.72, 71), (0.85, 0), (0.85, 38))[number % 5]
    return np.clip(np.array(color) * factor + offset, 0, 255).astype(np.uint8)


def _mix(canvas: Picture, paint: Picture, weight: float) -> Picture:
    return np.asarray((1 - weight) * canvas + weight * paint, np.uint8)


def _hatch(size: tuple[int, int]) -> NDArray[np.bool_]:
    """Diagonal stripes, bool [H, W]."""
    y, x = np.indices(size)
    return (x + y) % 10 < 3


def _borders(ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour has another id, bool [H, W]."""
    edge = np.zeros(ids.shape, bool)
    edge[:, :-1] |= ids[:, 1:] != ids[:, :-1]
    edge[:-1] |= ids[1:] != ids[:-1]
    return edge


def _scaled(image: Picture) -> Picture:
    """The image at tile size: enlarged by a whole factor, or shrunk."""
    height, width = image.shape[:2]
    ratio = max(1, round(TILE_WIDTH / width)) if width <= TILE_WIDTH else min(1.0, 1.25 * TILE_WIDTH / width)
    size = (round(width * ratio), round(height * ratio))
    filter_ = Image.Resampling.BICUBIC if ratio > 1 else Image.Resampling.LANCZOS
    return np.array(Image.fromarray(image).resize(size, filter_))


def _scaled_map(values: NDArray[np.int32], canvas: Picture) -> NDArray[np.int32]:
    return masks.resize_nearest(values, (canvas.shape[0], canvas.shape[1])).astype(np.int32)


def _classes(frame: Annotation, labels: LabelSet) -> list[int]:
    """class_index of every class that a frame shows."""
    match frame:
        case Panoptic():
            return [segment.class_index for segment in frame.segments]
        case LabelMap():
            return [int(index) for index in np.unique(frame.class_index) if index < labels.num_classes]
        case Instances():
            return [int(frame.class_index[index]) for index in shown_objects(frame)]


def describe(frame: Annotation, labels: LabelSet) -> str:
    """The classes of a frame as a sentence for those who do not see the picture."""
    found: dict[LabelClass, int] = {}
    for index in _classes(frame, labels):
        label = labels.everything[index]
        found[label] = found.get(label, 0) + 1
    return (
        ", ".join(f"{count} {label.name}" if count > 1 else label.name for label, count in found.items()) or "nothing"
    )
