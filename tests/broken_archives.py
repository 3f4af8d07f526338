"""Sound archives of small rows, ways to break them, and what a validator must then say: each rule once.

A case is (row, how to break the unpacked archive, a part of each problem that must come of it, in any order).
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from layout_scenes import write_root
from PIL import Image
from replay import replayed

from benchmark import catalog
from benchmark.contract import PredictionSet, SampleSet
from benchmark.minidata import miniatures
from leaderboards import writing
from leaderboards.families import form_of

Break = Callable[[Path], object]
Case = tuple[str, Break, list[str]]
INSTANCES, PANOPTIC = "detections_val2017_ours_results.json", "panoptic_val2017_ours_results"
TABLE = "openimages_detection_challenge2019_val_ours.csv"


class Archives:
    """Sound archives with their samples, made when they are first asked for."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.made: dict[str, tuple[Path, SampleSet]] = {}

    def sound(self, name: str) -> tuple[Path, SampleSet]:
        """The archive of a row whose truth is replayed, and its samples."""
        if name not in self.made:
            row = catalog.get(name)
            samples = catalog.open_samples(row, self.root(name), is_mini=True)
            answers = {sample.sample_id: replayed(sample) for sample in samples}
            target = self.home / f"{name}.made" / form_of(row).archive_name(row, "ours")
            writing.write(row, samples, PredictionSet(tuple(answers), answers.__getitem__), target)
            self.made[name] = target, samples
        return self.made[name]

    def root(self, name: str) -> Path:
        """A data root with the row."""
        row = catalog.get(name)
        root = self.home / ("suite" if miniatures.is_generated(row) else name)
        if not root.is_dir():
            if miniatures.is_generated(row):
                return write_root(root, ["val"])
            # Which classes training has seen is part of a validation split of YouTube-VOS.
            rows = (*catalog.BENCHMARKS.values(), *catalog.TRAINING.values()) if "youtube_vos" in name else (row,)
            miniatures.write(root, [one for one in rows if one.dataset == row.dataset])
            (root / catalog.MINI_STAMP).write_text("{}", encoding="utf-8")
        return root

    def broken(self, name: str, damage: Break, folder: Path) -> Path:
        """The archive after damage to its unpacked files."""
        sound, _ = self.sound(name)
        inner, target = folder / "inner", folder / sound.name
        inner.mkdir()
        if sound.suffix == ".zip":
            with zipfile.ZipFile(sound) as archive:
                archive.extractall(inner)
        else:
            shutil.copy(sound, inner / sound.name)
        damage(inner)
        if sound.suffix == ".zip":
            pack(inner, target)
        else:
            shutil.copy(inner / sound.name, target)
        return target


def pack(folder: Path, target: Path) -> None:
    """A zip file as anybody makes it."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())


def into(name: str) -> Break:
    """Put everything into a folder."""

    def damage(folder: Path) -> None:
        entries = list(folder.iterdir())
        (folder / name).mkdir()
        for entry in entries:
            entry.rename(folder / name / entry.name)

    return damage


def out_of(name: str) -> Break:
    """Take everything out of its folder."""

    def damage(folder: Path) -> None:
        (folder / name).rename(folder / "taken_out")
        for entry in list((folder / "taken_out").iterdir()):
            entry.rename(folder / entry.name)
        (folder / "taken_out").rmdir()

    return damage


def first(pattern: str, change: Callable[[Path], object]) -> Break:
    """Change the first file or folder of a pattern."""
    return lambda folder: change(sorted(folder.glob(pattern))[0])


def every(pattern: str, change: Callable[[Path], object]) -> Break:
    """Change all files of a pattern."""
    return lambda folder: [change(path) for path in sorted(folder.glob(pattern))]


def cut(path: Path) -> None:
    """Leave out the last bytes of a file."""
    path.write_bytes(path.read_bytes()[:-40])


def renamed(name: str) -> Callable[[Path], object]:
    """Give a file another name beside its own place."""
    return lambda path: path.rename(path.with_name(name))


def gone(path: Path) -> None:
    """Remove a file or folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def copied(name: str) -> Callable[[Path], object]:
    """Copy a file to another name."""
    return lambda path: shutil.copy(path, path.with_name(name))


def document(change: Callable[[Any], object]) -> Callable[[Path], object]:
    """Change a JSON document in place, or put another one there."""

    def damage(path: Path) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        other = change(content)
        path.write_text(json.dumps(content if other is None else other), encoding="utf-8")

    return damage


def picture(change: Callable[[Image.Image], Image.Image]) -> Callable[[Path], object]:
    """Change a picture."""

    def damage(path: Path) -> None:
        with Image.open(path) as image:
            changed = change(image)
        changed.save(path, format="PNG")

    return damage


def numbers(change: Callable[[np.ndarray], object]) -> Callable[[Path], object]:  # type: ignore[type-arg]
    """Change the numbers of a PNG, whose palette stays."""

    def redraw(image: Image.Image) -> Image.Image:
        values = np.array(image)
        change(values)
        drawn = Image.fromarray(values)
        if image.mode == "P":
            drawn.putpalette(image.getpalette() or [])
        return drawn

    return picture(redraw)


def corner(value: int) -> Callable[[Path], object]:
    """Draw another number into a corner, large enough to be no accident."""

    def change(values: np.ndarray) -> None:  # type: ignore[type-arg]
        values[:4, :4] = value

    return numbers(change)


def smaller(image: Image.Image) -> Image.Image:
    """Half the size."""
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.NEAREST)


def without_palette(image: Image.Image) -> Image.Image:
    """The indices as grey."""
    return Image.fromarray(np.array(image))


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[Path], object]:
    """Change the lines of a text."""

    def damage(path: Path) -> None:
        text = path.read_text(encoding="utf-8").splitlines()
        path.write_text("".join(f"{line}\n" for line in change(text)), encoding="utf-8")

    return damage


def entry(**fields: Any) -> Callable[[Path], object]:
    """Change fields of the first result of a list."""
    return document(lambda found: found[0].update(fields))


def train_ids(path: Path) -> None:
    """Every label id becomes a small number."""

    def shrink(values: np.ndarray) -> None:  # type: ignore[type-arg]
        values %= 19

    numbers(shrink)(path)


def other_color(path: Path) -> None:
    """A segment gets an id that nobody lists."""

    def change(values: np.ndarray) -> None:  # type: ignore[type-arg]
        values[:2, :2] = (250, 250, 250)

    numbers(change)(path)


def split_stuff(folder: Path) -> None:
    """One stuff segment of the first image becomes two."""
    path = folder / f"{PANOPTIC}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    is_thing = {one.category_id: one.is_thing for one in catalog.get("coco_panoptic_val2017").label_set.classes}
    for annotation in content["annotations"]:
        stuff = [one for one in annotation["segments_info"] if not is_thing[one["category_id"]]]
        if stuff:
            png = folder / PANOPTIC / annotation["file_name"]
            values = np.array(Image.open(png))
            ids = values.astype(np.int64) @ (1, 256, 65536)
            rows, columns = np.nonzero(ids == stuff[0]["id"])
            values[rows[: len(rows) // 2], columns[: len(rows) // 2]] = (9, 9, 9)
            Image.fromarray(values).save(png)
            number = 9 + 9 * 256 + 9 * 65536
            annotation["segments_info"].append({"id": number, "category_id": stuff[0]["category_id"]})
            break
    path.write_text(json.dumps(content), encoding="utf-8")


def overlapping(found: list[str]) -> list[str]:
    """The first mask again under another id."""
    frame, number, rest = found[0].split(" ", 2)
    return [f"{frame} {int(number) + 500} {rest}", *found]


COCO, PARTS = "coco_instance_val2017", "coco_panoptic_val2017"
CASES: list[Case] = [
    (COCO, into("results"), ["all files lie in the folder results"]),
    (COCO, first("*.json", renamed("results.json")), ["names or places"]),
    (COCO, first("*.json", copied("notes.txt")), ["names or places"]),
    (COCO, first("*.json", entry(bbox=[0, 0, 4, 4])), ["have a 'bbox' beside their mask"]),
    (COCO, first("*.json", entry(image_id=1234567)), ["image_id 1234567 is not in this benchmark"]),
    (COCO, first("*.json", entry(category_id=12)), ["category_id 12 is not a thing"]),
    (COCO, first("*.json", entry(score=float("nan"))), ["score nan is not a finite number"]),
    (COCO, first("*.json", entry(score=1.5)), ["lie outside 0 to 1"]),
    (COCO, first("*.json", document(lambda found: found + [found[0]] * 100)), ["more than 100 results of a class"]),
    ("coco_detection_val2017", first("*.json", entry(bbox=[9, 9, -4, 4])), ["negative width or height"]),
    (PARTS, into("results"), ["all files lie in the folder results"]),
    (PARTS, first(f"{PANOPTIC}/*.png", gone), ["1 of 3 files are missing"]),
    (PARTS, first("*.json", document(lambda found: found["annotations"].pop() and None)),
     ["1 of 3 samples have no result"]),
    (PARTS, first(f"{PANOPTIC}/*.png", other_color), ["has pixels but is not listed"]),
    (PARTS, first(f"{PANOPTIC}/*.png", picture(lambda image: image.convert("RGBA"))), ["1 PNGs are RGBA"]),
    (PARTS, first(f"{PANOPTIC}/*.png", picture(smaller)), ["not of their picture's size"]),
    (PARTS, split_stuff, ["several segments of one stuff class"]),
    ("ade20k_semantic_val", into("maps"), ["all files lie in the folder maps"]),
    ("ade20k_semantic_val", first("*.png", corner(151)), ["outside the label set"]),
    ("ade20k_semantic_val", first("*.png", gone), ["1 of 3 files are missing"]),
    ("ade20k_semantic_val", first("*.png", copied("ADE_val_00009999.png")), ["belong to no sample"]),
    ("ade20k_semantic_val", first("*.png", picture(smaller)), ["not of their picture's size"]),
    ("ade20k_semantic_val", first("*.png", picture(lambda image: image.convert("RGB"))), ["1 PNGs are RGB"]),
    ("cityscapes_semantic_val", into("any"), []),
    ("cityscapes_semantic_val", every("*.png", train_ids), ["look like train ids"]),
    ("cityscapes_semantic_val", first("*.png", gone), ["1 of 3 files are missing"]),
    ("cityscapes_instance_val", first("*.txt", gone), ["1 of 3 files are missing"]),
    ("cityscapes_instance_val", first("*_0.png", picture(smaller)), ["has masks of"]),
    ("cityscapes_instance_val", first("*.txt", lines(lambda found: [*found, "a.png 26"])), ["has 2 fields"]),
    ("davis17_vos_val", into("Annotations"), ["all files lie in the folder Annotations"]),
    ("davis17_vos_val", first("*/00003.png", gone), ["files are missing"]),
    ("davis17_vos_val", first("*", gone), ["files are missing"]),
    ("davis17_vos_val", first("*/00003.png", corner(200)), ["shows object 200, which is not given"]),
    ("davis17_vos_val", first("*/00003.png", picture(smaller)), ["not of their picture's size"]),
    ("davis17_vos_val", first("*/00003.png", picture(without_palette)), ["1 PNGs are grey of 8 bits"]),
    ("youtube_vos19_vos_val", out_of("Annotations"), ["do not lie in a folder Annotations"]),
    ("mevis_rvos_val", into("Annotations"), ["all files lie in the folder Annotations"]),
    ("mevis_rvos_val", first("*/*/00000.png", picture(lambda image: image.convert("P"))), ["1 PNGs are a palette"]),
    ("mevis_rvos_val", first("*/*/00000.png", corner(7)), ["other numbers than 0 and 255"]),
    ("mot17_mot_test", into("data"), ["all files lie in the folder data"]),
    ("mot17_mot_test", first("*.txt", gone), ["1 of 18 files are missing"]),
    ("mot17_mot_test", first("*.txt", lambda path: path.rename(path.with_stem(path.stem.lower()))),
     ["1 of 18 files are missing", "belong to no sample"]),
    ("mot17_mot_test", first("*.txt", lines(lambda found: [f"{one},-1" for one in found])),
     ["without exactly 10 values"]),
    ("mot17_mot_test", every("*.txt", lines(lambda found: [one.rsplit(",", 1)[0] for one in found])),
     ["without exactly 10 values"]),
    ("mot17_mot_test", first("*.txt", lines(lambda found: [found[0], *found])), ["occurs twice in frame"]),
    ("mot17_mot_test", first("*.txt", lines(lambda found: [*found, "999,1,1,1,5,5,1,-1,-1,-1"])), ["outside the seq"]),
    ("kitti_mots_val", first("*.txt", lines(overlapping)), ["masks overlap"]),
    ("kitti_mots_val", first("*.txt", gone), ["1 of 6 files are missing"]),
    ("got10k_sot_test", first("*/*_001.txt", gone), ["1 of 6 files are missing"]),
    ("got10k_sot_test", first("*/*_001.txt", lines(lambda found: found[:-1])), ["has 15 boxes, the video has 16"]),
    ("got10k_sot_test", first("*/*_001.txt", renamed("run.txt")), ["1 of 6 files are missing", "names or places"]),
    ("youtube_vis19_vis_val", first("*.json", renamed("result.json")), ["names or places"]),
    ("youtube_vis19_vis_val", first("*.json", document(lambda found: [])), ["holds no track"]),
    ("youtube_vis19_vis_val", first("*.json", entry(video_id=999999)), ["video_id 999999 is not in this benchmark"]),
    ("youtube_vis19_vis_val", first("*.json", entry(segmentations=[])), ["has 0 entries, the video has 16 frames"]),
    ("bdd100k_mot_test", first("data/*.json", gone), ["1 of 6 files are missing"]),
    ("bdd100k_mot_test", out_of("data"), []),
    ("bdd100k_mots_test", first("*/*.png", gone), ["files are missing"]),
    ("bdd100k_mots_test", first("*/*.png", picture(lambda image: image.convert("RGB"))), ["1 PNGs are RGB of 8 bits"]),
    ("ade20k_semantic_val", first("*.png", cut), ["is truncated or damaged"]),
    ("cityscapes_semantic_val", first("*.png", copied("minitown_000001_000019_other.png")),
     ["2 files fit image minitown_000001_000019", "belong to no sample"]),
    ("davis17_unsupervised_vos_val", first("*/00003.png", corner(25)), ["shows proposal 25, at most 20 are taken"]),
    ("bdd100k_semantic_val", first("*.png", corner(30)), ["pixels hold 30, which the server folds"]),
    ("lvis_instance_v1_val", first("*.json", document(lambda found: found + [found[0]] * 300)),
     ["more than 300 results of all classes"]),
    ("trackingnet_sot_test", first("*.txt", lines(lambda found: found[:-1])), ["has 15 boxes, the video has 16"]),
    ("trackingnet_sot_test", into("any"), []),
    ("got10k_sot_test", first("*/*_001.txt", copied("GOT-10k_Test_000001_004.txt")), ["names or places"]),
    ("openimages_detection_challenge2019_val", first(TABLE, lines(lambda found: [*found, "0f,/m/01g317,1,0,1,0,1"])),
     ["results are of images outside the split"]),
    ("tao_mot_val", first("TAO_test.json", gone), ["1 of 3 files are missing"]),
    ("tao_mot_val", first("TAO_val.json", gone), ["1 of 3 files are missing"]),
    ("tao_mot_val", first("TAO_val.json", renamed("results.json")), ["1 of 3 files are missing", "names or places"]),
    ("tao_mot_val", into("results"), ["all files lie in the folder results"]),
    ("seginw_instance_val", first("*.json", gone), ["1 of 25 files are missing"]),
    ("seginw_instance_val", first("*.json", renamed("Airplane-Parts.json")),
     ["1 of 25 files are missing", "belong to no"]),
    ("seginw_instance_val", first("*.json", copied("readme.txt")), ["names or places"]),
    ("seginw_instance_val", into("any"), []),
    ("seginw_instance_val", into("shades"), ["25 of 25 files are missing", "names or places"]),
    ("seginw_instance_val", lambda folder: (folder / "ade.json").write_text('{"ADE150-PQ": "1"}'), []),
]  # fmt: skip
"""Every rule broken once. Some cases show what is free at a server."""
