"""Zip files read in place: the same scores as unpacked, nothing written, and one line for what is unsafe or damaged."""

from __future__ import annotations

import io
import json
import pickle
import random
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from damaged_files import found_path

from benchmark import catalog, scoring
from benchmark.__main__ import main
from benchmark.contract import Task
from benchmark.formats import archives, json_lists, zip_members
from benchmark.formats.member_file import MARK_EVERY
from benchmark.formats.zip_members import SMALL
from benchmark.problems import DataError
from benchmark.row import Benchmark

COMMON = ("coco_panoptic_val2017", "coco_instance_val2017", "coco_semantic_val2017", "cityscapes_instance_val")


def pack(target: Path, folder: Path, *, top: str = "", method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip of everything in a folder, or of one file. top: a folder around it."""
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    home = folder.parent if folder.is_file() else folder
    with zipfile.ZipFile(target, "w", method) as file:
        for path in files:
            file.write(path, f"{top}{path.relative_to(home)}")
    return target


def pack_found(target: Path, root: Path, name: str, top: str = "") -> Path:
    """A zip of the stored predictions of a row."""
    path = found_path(root, name)
    if catalog.get(name).task is not Task.PANOPTIC:
        return pack(target, path, top=top)
    with zipfile.ZipFile(target, "w") as file:
        for one in (path, *sorted(path.with_suffix("").iterdir())):
            file.write(one, f"{top}{one.relative_to(path.parent)}")
    return target


def score(name: str, predictions: Path, root: Path, folder: Path, option: str = "--data-root") -> dict[str, float]:
    """Scores by the command."""
    out = folder / "out.json"
    call = ["score", name, str(predictions), option, str(root), "--out", str(out)]
    assert main([*call, "--work-dir", str(folder / f"work-{predictions.name}-{root.name}")]) == 0
    return dict(json.loads(out.read_text(encoding="utf-8"))["scores"])


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are compared, not their intervals."""
    monkeypatch.setattr(scoring, "RESAMPLES", 20)


@pytest.mark.parametrize("name", COMMON)
@pytest.mark.parametrize("top", ["", "results/", "a/b c/"])
def test_a_zip_scores_as_its_files_do(sound_root: Path, tmp_path: Path, name: str, top: str) -> None:
    packed = pack_found(tmp_path / "mine.zip", sound_root, name, top)
    (tmp_path / "plain").mkdir()
    assert score(name, packed, sound_root, tmp_path) == score(name, found_path(sound_root, name), sound_root, tmp_path)


def test_the_choice_is_printed_and_kept(sound_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = pack_found(tmp_path / "mine.zip", sound_root, "coco_instance_val2017", "results/")
    score("coco_instance_val2017", packed, sound_root, tmp_path)
    printed = capsys.readouterr().out
    assert "read as a zip: a folder of 1 folder of .json files" in printed
    assert "mine.zip/results/coco_instance_val2017.json" in printed


def test_files_are_described_as_they_are_taken(sound_root: Path, tmp_path: Path) -> None:
    semantic = found_path(sound_root, "coco_semantic_val2017")
    assert archives.kind_of(semantic) == "a folder of 3 .png files"
    assert archives.kind_of(found_path(sound_root, "coco_instance_val2017")) == "one .json file"
    packed = pack_found(tmp_path / "a.zip", sound_root, "coco_panoptic_val2017")
    assert archives.kind_of(packed) == "a zip: a folder of 1 .json file and 1 folder of .png files"
    (tmp_path / "none").mkdir()
    assert archives.kind_of(tmp_path / "none") == "an empty folder"


def test_nothing_is_unpacked(sound_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack_found(tmp_path / "mine.zip", sound_root, "coco_panoptic_val2017")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    score("coco_panoptic_val2017", packed, sound_root, tmp_path)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("top", ["", "data/"])
def test_a_zipped_data_root_is_read_in_place(sound_root: Path, tmp_path: Path, top: str) -> None:
    packed = pack(tmp_path / "root.zip", sound_root, top=top)
    for name in COMMON:
        found = found_path(sound_root, name)
        assert score(name, found, packed, tmp_path) == score(name, found, sound_root, tmp_path)


def test_downloads_are_seen_as_if_unpacked_where_they_lie(data_root: Path, tmp_path: Path) -> None:
    name = "cityscapes_instance_val"
    found = pack_found(tmp_path / "found.zip", data_root, name)
    expected = score(name, found, data_root, tmp_path)
    home = data_root / "cityscapes"
    pack(home / "gtFine_trainvaltest.zip", home / "gtFine", top="gtFine/")
    for path in sorted((home / "gtFine").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (home / "gtFine").rmdir()
    (tmp_path / "again").mkdir()
    assert score(name, found, data_root, tmp_path / "again") == expected


def test_an_explicit_truth_may_be_a_zip(sound_root: Path, tmp_path: Path) -> None:
    name = "coco_instance_val2017"
    file = sound_root / "coco" / "annotations" / "instances_val2017.json"
    packed = pack(tmp_path / "truth.zip", file, top="annotations/")
    found = found_path(sound_root, name)
    assert score(name, found, packed, tmp_path, "--truth") == score(name, found, file, tmp_path, "--truth")


FILES = {"val/0.png": b"nought" * 999, "val/1.png": b"one", "other/2.png": b"two" * (SMALL // 2), "top.txt": b"top"}


def nested(target: Path, home: str, *, name: str = "val.zip", method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip with `FILES` in a zip, in some folder, beside a list."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as file:
        for one, content in FILES.items():
            file.writestr(one, content)
    with zipfile.ZipFile(target, "w", method) as file:
        file.writestr(f"{home}list.json", "[]")
        file.writestr(f"{home}{name}", inner.getvalue())
    return target


@pytest.mark.parametrize("home", ["", "annotations/", "a/b/"])
@pytest.mark.parametrize("name", ["val.zip", "results.ZIP"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_in_a_zip_is_seen_as_if_unpacked_where_it_lies(tmp_path: Path, home: str, name: str, method: int) -> None:
    root = archives.mounted_file(nested(tmp_path / "a.zip", home, name=name, method=method))
    folder = root / home
    assert {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()} == {*FILES, "list.json"}
    assert [one.name for one in folder.iterdir()] == ["list.json", "other", "top.txt", "val"]
    for one in reversed(FILES):
        assert (folder / one).read_bytes() == FILES[one]
        assert (folder / one).stat().st_size == len(FILES[one])
    assert not (folder / "val" / "7.png").exists() and (folder / "val").is_dir()
    again = pickle.loads(pickle.dumps(folder / "val" / "1.png"))
    assert again.read_bytes() == b"one"


def test_of_zips_in_a_zip_the_one_that_is_called_like_the_folder_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nested(tmp_path / "a.zip", "annotations/")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("annotations/train.zip", b"is never looked into")
    folder = archives.mounted_file(path) / "annotations"
    assert (folder / "val" / "1.png").read_bytes() == b"one"
    with pytest.raises(DataError, match=r"a.zip/annotations/train.zip: is no whole zip file"):
        (folder / "missing.json").exists()


def test_zips_three_deep_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.write(nested(tmp_path / "a.zip", ""), "results.zip")
    with pytest.raises(
        DataError, match=r"b.zip/results.zip: is a zip in a zip and holds one again .* Unpack the outer"
    ):
        archives.ways_in(tmp_path / "b.zip")


def test_an_archive_in_an_archive_scores_as_its_files_do(sound_root: Path, tmp_path: Path) -> None:
    name = "coco_semantic_val2017"
    packed = pack(tmp_path / "download.zip", pack_found(tmp_path / "results.zip", sound_root, name))
    assert score(name, packed, sound_root, tmp_path) == score(name, found_path(sound_root, name), sound_root, tmp_path)


def test_a_folder_that_holds_nothing_but_zips_is_read_as_their_files(sound_root: Path, tmp_path: Path) -> None:
    name = "coco_semantic_val2017"
    (tmp_path / "found").mkdir()
    pack_found(tmp_path / "found" / "results.zip", sound_root, name)
    found = tmp_path / "found"
    assert score(name, found, sound_root, tmp_path) == score(name, found_path(sound_root, name), sound_root, tmp_path)


def test_downloads_beside_the_annotations_are_seen(sound_root: Path, tmp_path: Path) -> None:
    """COCO's panoptic annotations are a zip that holds the zips of the PNGs; either may have been unpacked."""
    row = catalog.get("coco_panoptic_val2017")
    home = tmp_path / "root" / "coco" / "annotations"
    home.mkdir(parents=True)
    source = sound_root / "coco" / "annotations"
    file = home / "panoptic_val2017.json"
    file.write_bytes((source / file.name).read_bytes())
    inner = pack(home / "panoptic_val2017.zip", source / "panoptic_val2017", top="panoptic_val2017/")
    expected = [one.labels[0].name for one in catalog.verify(row, sound_root, is_mini=True, needs_frames=False).entries]
    assert _labels(row, tmp_path / "root") == expected
    with zipfile.ZipFile(tmp_path / "root" / "coco" / "panoptic_annotations_trainval2017.zip", "w") as outer:
        for one in (file, inner):
            outer.write(one, f"annotations/{one.name}")
            one.unlink()
    assert _labels(row, tmp_path / "root") == expected


def _labels(row: Benchmark, root: Path) -> list[str]:
    return [one.labels[0].name for one in catalog.verify(row, root, is_mini=True, needs_frames=False).entries]


def test_folders_that_name_samples_are_not_entered(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("results/bear/00000.png", b"")
    ways = archives.ways_in(tmp_path / "a.zip", frozenset({"bear"}))
    assert [str(way.relative_to(tmp_path)) for way in ways] == ["a.zip", "a.zip/results"]


def test_what_file_managers_add_is_not_seen(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("__MACOSX/pred/._a.json", "pred/.DS_Store", "pred/a.json", "pred/._b.json"):
            file.writestr(name, "[]")
    assert archives.ways_in(tmp_path / "a.zip")[-1] == tmp_path / "a.zip" / "pred" / "a.json"


class TestPaths:
    """A mounted path answers as the same path of an unpacked folder."""

    @pytest.fixture
    def twins(self, tmp_path: Path) -> tuple[Path, Path]:
        home = tmp_path / "plain"
        for name in ("a.txt", "b/c.png", "b/d.txt", "b/e/f.txt", "g.h/i"):
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(f"this is {name}\n", encoding="utf-8")
        return home, archives.mounted_file(pack(tmp_path / "plain.zip", home))

    @pytest.mark.parametrize(
        "pattern", ["*", "*.txt", "*/*.txt", "b/*", "**/*.txt", "**/e", "b/c.png", "no/*", "*.png", "a.txt/*", "[bg]*"]
    )
    def test_patterns_find_the_same(self, twins: tuple[Path, Path], pattern: str) -> None:
        for name in ("glob", "rglob"):
            plain, packed = ([str(p.relative_to(home)) for p in getattr(home, name)(pattern)] for home in twins)
            assert sorted(plain) == sorted(packed)

    @pytest.mark.parametrize("name", [".", "a.txt", "b", "b/c.png", "b/e", "no", "b/no"])
    def test_kinds_are_the_same(self, twins: tuple[Path, Path], name: str) -> None:
        plain, packed = (home / name for home in twins)
        assert (plain.is_file(), plain.is_dir(), plain.exists()) == (packed.is_file(), packed.is_dir(), packed.exists())
        if plain.is_file():
            assert plain.read_bytes() == packed.read_bytes() and plain.stat().st_size == packed.stat().st_size
            assert plain.read_text(encoding="utf-8") == packed.read_text(encoding="utf-8")
        else:
            for read in (Path.read_bytes, lambda path: path.open("rb")):
                with pytest.raises(OSError) as expected:
                    read(plain)
                with pytest.raises(type(expected.value)):
                    read(packed)

    def test_relatives_see_through_the_archive_too(self, twins: tuple[Path, Path]) -> None:
        member = twins[1] / "b" / "c.png"
        for one in (member.with_name("d.txt"), member.parent.parent / "a.txt", member.with_suffix(".png"),
                    member.resolve(), pickle.loads(pickle.dumps(member))):  # fmt: skip
            assert one.is_file() and one.read_bytes().startswith(b"this is")

    def test_nothing_can_be_written(self, twins: tuple[Path, Path]) -> None:
        with pytest.raises(PermissionError):
            (twins[1] / "a.txt").write_text("x")


class TestLargeMembers:
    """Members above a few MB are inflated as they are read, from marks on the way."""

    @pytest.fixture(scope="class")
    def content(self) -> bytes:
        rng = random.Random(0)
        return bytes(rng.choice(b"0123456789,\n") for _ in range(1 << 16)) * ((3 * MARK_EVERY + SMALL) >> 16) + b"end"

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_any_place_can_be_read(self, tmp_path: Path, content: bytes, method: int) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as file:
            file.writestr("x", content)
        rng = random.Random(1)
        with (archives.mounted_file(tmp_path / "a.zip") / "x").open("rb") as member:
            for _ in range(40):
                start, size = rng.randrange(len(content)), rng.randrange(1 << 17)
                member.seek(start)
                assert member.read(size) == content[start : start + size]
            member.seek(-3, io.SEEK_END)
            assert member.read() == b"end"
            member.seek(0)
            assert member.read() == content

    def test_long_lists_are_read_in_place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_lists, "SMALL", 1000)
        rows = [{"id": number, "text": "ü" * (number % 50)} for number in range(90_000)]
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("x.json", json.dumps({"rows": rows, "none": []}, ensure_ascii=False))
        path = archives.mounted_file(tmp_path / "a.zip") / "x.json"
        assert path.stat().st_size > SMALL
        found = json_lists.open_lists(path, ("rows",))["rows"]
        assert not isinstance(found, list) and found[80_000] == rows[80_000] and found[5] == rows[5]

    def test_a_file_that_ends_while_it_is_read_is_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("x", random.Random(0).randbytes(2 * SMALL))
        member = archives.mounted_file(path) / "x"
        with path.open("rb+") as file:
            file.truncate(SMALL)
        with member.open("rb") as opened, pytest.raises(DataError, match="it ends after"):
            opened.read()

    def test_a_wrong_checksum_is_found_at_the_end(self, tmp_path: Path, content: bytes) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_STORED) as file:
            file.writestr("x", content)
        data = bytearray((tmp_path / "a.zip").read_bytes())
        data[1 << 20] ^= 1
        (tmp_path / "a.zip").write_bytes(data)
        with (
            (archives.mounted_file(tmp_path / "a.zip") / "x").open("rb") as member,
            pytest.raises(DataError, match="its checksum is wrong"),
        ):
            member.read()


def _write(names: dict[str, bytes], **fields: int) -> Callable[[Path], object]:
    """A zip with these members; fields: of every entry of its directory."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in names.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = fields.get("mode", 0) << 16
                file.writestr(info, content, zipfile.ZIP_DEFLATED)

    return write


def _twice(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("a.json", "[]")
        file.writestr("a.json", "[1]")


def _patched(offset: int, value: int) -> Callable[[Path], object]:
    """A zip whose only directory entry is changed. offset: of two bytes in the entry."""

    def write(path: Path) -> None:
        _write({"a.json": b"[]"})(path)
        data = bytearray(path.read_bytes())
        struct.pack_into("<H", data, data.index(b"PK\x01\x02") + offset, value)
        path.write_bytes(data)

    return write


def _without_size(offset: int, method: int) -> Callable[[Path], object]:
    """A zip whose only member is said to be empty. offset: of its packed (20) or its own size (24) in the entry."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as file:
            file.writestr("a.json", "[]")
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, data.index(b"PK\x01\x02") + offset, 0)
        path.write_bytes(data)

    return write


def _cut(path: Path) -> None:
    _write({"a.json": b"[]" * 1000, "b.json": b"[]"})(path)
    path.write_bytes(path.read_bytes()[:-30])


def _overlapping(path: Path) -> None:
    _write({"a.json": b"[]", "b.json": b"[]"})(path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x01\x02") + 42, 0)
    path.write_bytes(data)


UNSAFE = {
    "up": (_write({"../a.json": b"[]"}), "leaves the archive"),
    "up inside": (_write({"b/../../a.json": b"[]"}), "leaves the archive"),
    "absolute": (_write({"/a.json": b"[]"}), "leaves the archive"),
    "backslash": (_write({"..\\a.json": b"[]"}), "leaves the archive"),
    "link": (_write({"a.json": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777), "links or devices"),
    "device": (_write({"a.json": b""}, mode=stat.S_IFCHR | 0o777), "links or devices"),
    "file and folder": (_write({"a": b"[]", "a/b.json": b"[]"}), "both a file and a folder"),
    "bomb": (_write({"a.json": b" " * (1 << 25)}), "would grow more than 300 times"),
    "twice": (_twice, "listed twice"),
    "encrypted": (_patched(8, 1), "is encrypted"),
    "strongly encrypted": (_patched(8, 64), "is encrypted"),
    "packed size": (_without_size(20, zipfile.ZIP_STORED), "sizes that contradict each other"),
    "own size": (_without_size(24, zipfile.ZIP_DEFLATED), "sizes that contradict each other"),
    "method": (_patched(10, 93), "packed by method 93"),
    "overlapping": (_overlapping, "shares their bytes"),
    "truncated": (_cut, "no whole zip file"),
    "empty": (_write({}), "a zip file without files"),
    "nothing": (lambda path: path.write_bytes(b""), "no whole zip file"),
    "no zip": (lambda path: path.write_bytes(b"something else"), "no whole zip file"),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_unsafe_and_broken_archives_end_in_one_line(
    sound_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    make, message = UNSAFE[case]
    make(tmp_path / "a.zip")
    call = ["score", "coco_instance_val2017", str(tmp_path / "a.zip"), "--data-root", str(sound_root)]
    assert main([*call, "--work-dir", str(tmp_path / "work")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "scoring" not in line]
    assert len(errors) == 1 and message in errors[0] and "a.zip" in errors[0]
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip"}


def test_a_member_that_is_damaged_says_so(tmp_path: Path) -> None:
    _write({"a.json": bytes(range(256)) * 40})(tmp_path / "a.zip")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[60] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip/a\.json: is damaged inside the zip"):
        (archives.mounted_file(tmp_path / "a.zip") / "a.json").read_bytes()


def test_the_directory_is_read_once(tmp_path: Path) -> None:
    _write({"a.json": b"[]"})(tmp_path / "a.zip")
    assert zip_members.open_archive(tmp_path / "a.zip") is zip_members.open_archive(tmp_path / "a.zip")


def test_a_member_with_another_name_where_it_lies_is_damaged(tmp_path: Path) -> None:
    _write({"a.json": b"[]"})(tmp_path / "a.zip")
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace(b"a.json", b"b.json", 1))
    with pytest.raises(DataError, match=r"it is called 'b\.json' where it lies"):
        (archives.mounted_file(tmp_path / "a.zip") / "a.json").read_bytes()
