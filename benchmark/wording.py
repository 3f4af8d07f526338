"""Messages that count: written in the plural, shown in the singular where the count is one.

`f"{len(lost):,} of {num:,} frames are missing"` stays readable where it is written; `agreeing` is asked where it is
shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_REGULAR = (
    "annotation annotator archive benchmark byte clip column description detection entry error expression field file "
    "folder frame id image instance label line list map mask member name number object pair phrase picture pixel "
    "point prediction problem proposal record result row run sample score segment sentence sequence split submission "
    "thing track value video warning word zip"
)
_IRREGULAR = {
    "boxes": "box",
    "categories": "category",
    "classes": "class",
    "entries": "entry",
    "video-text pairs": "video-text pair",
}
_NOUNS: Mapping[str, str] = MappingProxyType({**{f"{one}s": one for one in _REGULAR.split()}, **_IRREGULAR})
_SAID_OF_ONE = "belong contain fit hold lack leave occur share"
_VERBS: Mapping[str, str] = MappingProxyType(
    {**{one: f"{one}s" for one in _SAID_OF_ONE.split()}, "are": "is", "have": "has", "were": "was"}
)
_ONE = re.compile(
    r"(?<![\w.,])1(?P<of> of [\d,]+)? "
    rf"(?P<noun>{'|'.join(_NOUNS)})\b(?P<more> of \w+)?(?: (?P<verb>{'|'.join(_VERBS)})\b)?"
)


def agreeing(text: str) -> str:
    """The text with "1 files are" as "1 file is", and "1 of 4 files are" as "1 of 4 files is"."""
    return _ONE.sub(_singular, text)


def _singular(found: re.Match[str]) -> str:
    noun = found["noun"] if found["of"] and found["of"] != " of 1" else _NOUNS[found["noun"]]
    verb = f" {_VERBS[found['verb']]}" if found["verb"] else ""
    return f"1{found['of'] or ''} {noun}{found['more'] or ''}{verb}"
