"""Damaged files by the thousand: each ends in a clear refusal, or in the score that the bytes have by the format's law.

    python tests/fuzz.py --inputs 10000                 (make fuzz)
    python tests/fuzz.py --families png --only 4711     (one input again)

The law is what an independent decoder makes of the same bytes: Python's json, Pillow, zipfile, pickle without classes.
What it decodes is written anew, plainly, and must come to the same outcome; what it cannot decode must be refused.
Every input has a limit of CPU time and memory, and nothing outside may be opened, nothing started.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import pickle
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fuzz_mutations import DAMAGES, ESCAPE, without_extras
from fuzz_subjects import FAMILIES, Outcome, Subject, write
from PIL import Image

SECONDS = 20
"""CPU time of one input, far more than the slowest needs."""
MEMORY = 3 * 2**30
"""Bytes of address space beyond what the process has at the beginning."""
STARTS = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "ctypes.dlopen")


REFUSALS = (
    ValueError,
    OSError,
    SyntaxError,
    RecursionError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    MemoryError,
    AttributeError,
    struct.error,
    pickle.UnpicklingError,
    Image.DecompressionBombError,
)
"""What the independent decoders raise."""


class Undecodable(Exception):  # noqa: N818 (a finding, not a failure)
    """The independent decoder refuses the bytes."""


class TooSlow(BaseException):
    """One input took longer than it may. No reader catches it."""


class Watch:
    """What was opened or started that must not be. An audit hook cannot be taken away, so it is switched."""

    def __init__(self) -> None:
        self.is_on, self.are_files_watched = False, True
        self.found: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        is_outside = self.are_files_watched and event == "open" and f"/{ESCAPE}/" in str(arguments[0])
        if self.is_on and (is_outside or event.startswith(STARTS)):
            self.found.append(f"{event} {arguments[:1]!r}")


class Fuzzer:
    """Subjects with their files, and what is known of them. keep: where damaged files are kept, None for nowhere."""

    def __init__(self, subjects: Sequence[Subject], watch: Watch, keep: Path | None) -> None:
        self.subjects, self.watch, self.keep = subjects, watch, keep
        self._used: dict[tuple[str, Path], bool] = {}
        self._sound: dict[str, Outcome] = {}
        self._pool: dict[str, dict[str, list[tuple[Subject, Path]]]] = {}

    def run(self, family: str, number: int) -> tuple[str, str]:
        """One input: (what came of it, where). Raises AssertionError with what is wrong."""
        rng = random.Random(f"{family} {number}")
        subject, path = self._choose(family, rng)
        damage = rng.choice(DAMAGES[family])
        if family == "zip":
            return self._run_zip(subject, path, rng, damage), subject.row.name
        sound = path.read_bytes()
        damaged = damage(sound, rng)
        self._keep(f"{family}-{number}{path.suffix}", damaged)
        with _restored(path, sound):
            path.write_bytes(damaged)
            outcome = self._outcome(subject, is_foreign=path.is_relative_to(subject.predictions.parent))
            try:
                plain = rewritten(path, damaged, rng)
            except Undecodable as error:
                is_fine = outcome[0] == "refused" or not self._is_used(subject, path, sound)
                assert is_fine, f"{path} accepted although it cannot be decoded: {error}"
                return outcome[0], subject.row.name
            if outcome[0] == "scores" and plain is not None and plain != damaged:
                path.write_bytes(plain)
                assert self._outcome(subject) == outcome, (
                    "another outcome than that of the same content, plainly written"
                )
        return outcome[0], subject.row.name

    def _run_zip(self, subject: Subject, folder: Path, rng: random.Random, damage: Any) -> str:
        packed = folder.parent / "packed.zip"
        try:
            packed.write_bytes(damage(_pack(subject.predictions), rng))
            self._keep(f"{subject.row.name}.zip", packed.read_bytes())
            outcome = self._outcome(subject, packed)
            if outcome[0] == "scores":
                with tempfile.TemporaryDirectory(dir=folder.parent) as home:
                    unpacked = _unpack(packed, Path(home) / "in")
                    ways = [unpacked, *unpacked.rglob("*")]
                    assert any(subject.outcome(way) == outcome for way in ways), "another outcome than unpacked"
        finally:
            packed.unlink(missing_ok=True)
        return outcome[0]

    def _keep(self, name: str, damaged: bytes) -> None:
        if self.keep is not None:
            (self.keep / name).write_bytes(damaged)

    def _choose(self, family: str, rng: random.Random) -> tuple[Subject, Path]:
        if family not in self._pool:
            self._pool[family] = {}
            for subject in self.subjects:
                found = [subject.predictions] if family == "zip" else list(subject.files(FAMILIES[family]))
                files = self._pool[family].setdefault(subject.row.dataset, [])
                files += [(subject, path) for path in found if path.name != "minidata.json"]
        datasets = [name for name, files in self._pool[family].items() if files]
        for _ in range(20):
            subject, path = rng.choice(self._pool[family][rng.choice(datasets)])
            if family == "zip" or self._is_used(subject, path, path.read_bytes()):
                return subject, path
        return subject, path

    def _is_used(self, subject: Subject, path: Path, sound: bytes) -> bool:
        """Whether the score needs the file's content: spoiled, it comes to something else."""
        key = (subject.row.name, path)
        if key not in self._used:
            now = path.read_bytes()
            path.write_bytes(sound)
            if subject.row.name not in self._sound:
                self._sound[subject.row.name] = subject.outcome()
            path.write_bytes(_spoiled(sound))
            self._used[key] = subject.outcome() != self._sound[subject.row.name]
            path.write_bytes(now)
        return self._used[key]

    def _outcome(self, subject: Subject, predictions: Path | None = None, *, is_foreign: bool = True) -> Outcome:
        """The outcome under watch. is_foreign: results may not name files elsewhere; truth may name pictures."""
        self.watch.found.clear()
        self.watch.is_on, self.watch.are_files_watched = True, is_foreign
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        try:
            outcome = subject.outcome(predictions)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            self.watch.is_on = False
        assert not self.watch.found, f"went outside: {self.watch.found[:3]}"
        return outcome


def rewritten(path: Path, data: bytes, rng: random.Random) -> bytes | None:
    """The content of a file as an independent decoder has it, plainly written; None where there is no such decoder."""
    try:
        match path.suffix:
            case ".json":
                return json.dumps(json.loads(data), indent=rng.choice((None, 1))).encode()
            case ".png":
                return _repainted(data)
            case ".p":
                return pickle.dumps(_Plain(io.BytesIO(data)).load(), protocol=2)
    except REFUSALS as error:
        raise Undecodable(f"{type(error).__name__} {error}") from error
    return None


def _spoiled(data: bytes) -> bytes:
    """Beginning and end as they are (headers are looked at in files that no score needs), and nothing sound between."""
    start, end = min(40, len(data) // 4), max(len(data) - 20, len(data) // 2)
    return data[:start] + bytes(byte ^ 0x55 for byte in data[start:end]) + data[end:]


class _Plain(pickle._Unpickler):  # type: ignore[misc]  (in Python: it fails where the one in C fills the memory)
    def __init__(self, file: Any) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name}")


def _repainted(data: bytes) -> bytes:
    """The same stored numbers in a plain PNG. Damaged chunks that are not needed are no matter, as the format says."""
    try:
        return _painted(data)
    except (OSError, ValueError, SyntaxError, IndexError, struct.error):
        return _painted(without_extras(data))


def _painted(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > 10**8:
            raise ValueError("too large")
        image.load()
        palette = image.getpalette() if image.mode == "P" else None
        plain = Image.fromarray(np.asarray(image))
    if palette is not None:
        plain.putpalette((palette + [0] * 768)[:768])
    buffer = io.BytesIO()
    plain.save(buffer, "PNG")
    return buffer.getvalue()


def _pack(predictions: Path) -> bytes:
    buffer = io.BytesIO()
    home = predictions.parent
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(home.rglob("*")):
            if path.is_file() and path.suffix != ".zip":
                file.write(path, path.relative_to(home))
    return buffer.getvalue()


def _unpack(packed: Path, home: Path) -> Path:
    """The members that are whole; whoever needed another one has refused it."""
    home.mkdir()
    with zipfile.ZipFile(packed) as file:
        for member in file.infolist():
            with contextlib.suppress(zipfile.BadZipFile, zlib.error, OSError, EOFError):
                content = file.read(member)
                target = home / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    return home


@contextmanager
def _restored(path: Path, sound: bytes) -> Iterator[None]:
    try:
        yield
    finally:
        path.write_bytes(sound)


def _limit() -> None:
    def stop(number: int, frame: Any) -> None:
        raise TooSlow(f"more than {SECONDS} s of CPU time")

    signal.signal(signal.SIGVTALRM, stop)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def fuzz(fuzzer: Fuzzer, family: str, numbers: Sequence[int]) -> list[str]:
    """Run the inputs of a family; the failures, one text each."""
    started = time.process_time()
    counts: Counter[str] = Counter()
    rows: set[str] = set()
    failures: list[str] = []
    for number in numbers:
        try:
            outcome, row = fuzzer.run(family, number)
            counts[outcome] += 1
            rows.add(row)
        except (Exception, TooSlow) as error:
            trace = "".join(traceback.format_exception(error)[-3:])
            failures.append(f"--families {family} --only {number}: {type(error).__name__}: {error}\n{trace}")
            print(failures[-1], flush=True)
    seconds = time.process_time() - started
    print(f"{family}: {len(numbers):,} inputs of {len(rows)} rows, {counts['refused']:,} refused, {counts['scores']:,} "
          f"scored, {len(failures):,} failed, {seconds:.0f} s of CPU time", flush=True)  # fmt: skip
    return failures


def main() -> int:
    """Exit code 1 where an input fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=200, help="number for each family")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--only", type=int, help="run this one")
    parser.add_argument("--keep", type=Path, help="folder in which the damaged files are kept")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    numbers = range(options.first, options.first + options.inputs) if options.only is None else [options.only]
    watch = Watch()
    sys.addaudithook(watch)
    shared = Path("/dev/shm")
    home = Path(tempfile.mkdtemp(prefix="fuzz-", dir=shared if os.access(shared, os.W_OK) else None))
    try:
        fuzzer = Fuzzer(subjects=write(home), watch=watch, keep=options.keep)
        _limit()
        failures = [one for family in options.families.split(",") for one in fuzz(fuzzer, family, numbers)]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
