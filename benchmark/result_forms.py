"""The forms of result files that `score` accepts, said in words beside the readers that accept them.

A row's layout names them (`Layout.result_forms`), `describe` prints them, messages about a wrong path repeat them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

IN_ZIPS = "A zip of these is read in place, with the files at its top or below one folder."
RUN_LENGTHS = '{"size": [h, w], "counts": text}'


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultForm:
    """One form. files: where its files lie -> what each holds, in a few words.

    In names `<...>` stands for what differs between files, `**` for any folders, `*` for anything else. A name without
    a folder is one file.
    """

    files: Mapping[str, str]

    @property
    def given(self) -> str:
        """What the command is given: the file, or the folder of the files."""
        first, *rest = PurePosixPath(next(iter(self.files))).parts
        return f"{first}/" if rest else first

    def fits(self, name: str) -> bool:
        """Whether a file belongs to the form. name: with its folders, from that of the results on."""
        return any(_pattern(files).fullmatch(name) for files in self.files)

    def lines(self) -> list[str]:
        """One for each kind of file."""
        heads = ["", *["and "] * (len(self.files) - 1)]
        return [f"{head}{files}: {holds}" for head, (files, holds) in zip(heads, self.files.items(), strict=True)]


def _pattern(files: str) -> re.Pattern[str]:
    parts = re.split(r"(<[^>]*>|\*\*/|\*)", files)
    words = {"**/": "(?:[^/]+/)*", "*": "[^/]*"}
    return re.compile("".join(words.get(one, "[^/]+" if one.startswith("<") else re.escape(one)) for one in parts))


def one_kind(files: str, holds: str) -> ResultForm:
    """A form of one kind of file."""
    return ResultForm(files={files: holds})


def label_pngs(name: str, meaning: str) -> ResultForm:
    """A folder of PNGs of one number a pixel. name: of a file. meaning: of its numbers."""
    return one_kind(f"results/{name}", f"PNG of one channel at the picture's size: {meaning}")


def panoptic(name: str) -> ResultForm:
    """COCO's panoptic form, of which the JSON or the folder is given. name: of a PNG."""
    return ResultForm(
        files={
            "results/panoptic.json": '{"annotations": [{"image_id", "file_name", "segments_info": [{"id", '
            '"category_id"}]}]}',
            f"results/panoptic/{name}": "RGB PNG, id = R + 256 G + 65536 B, 0 for nothing; the folder is called as the "
            "JSON",
        }
    )


_OBJECT = 'a JSON list of {{"image_id", "category_id", {}, "score"}}'
BOXES = one_kind("results.json", _OBJECT.format('"bbox": [x, y, width, height]'))
MASKS = one_kind("results.json", _OBJECT.format(f'"segmentation": {RUN_LENGTHS}'))
MASK_FOLDER = one_kind("results/<sample id>.png", "the mask of an expression: whatever is not 0")
EXPRESSIONS = one_kind(
    "results.json",
    'a JSON list of {"sample_id", or "sent_id" with "ref_id"; "segmentation": run lengths, or "bbox": [x, y, width, '
    'height], or both; "score"; "no_target"}',
)
INDEXED = one_kind(
    "results/<video>/<frame>.png", "PNG of one channel at the frame's size: object ids (palette indices), 0 for none"
)
REFERRED = one_kind(
    "results/<video>/<expression>/<frame>.png", "PNG at the frame's size: the target is whatever is not black"
)
OBJECT_FOLDERS = one_kind(
    "results/<video>/<object>/<frame>.png", "PNG at the frame's size: the object is whatever is not 0"
)
BOX_LINES = one_kind("results/<video>.txt", "x,y,width,height of a frame in each line, separated alike throughout")
