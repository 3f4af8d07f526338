"""Measure many samples, alone or in several processes, and keep the statistics as they are made.

The work begins alone. If it would take more than a few seconds, processes are forked: they share what was read, so
nothing is read twice and starting them costs milliseconds. They send statistics to the one process that writes them. A
sample's statistics depend on nothing but the sample, so their number and order change no bit.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import cv2

from benchmark import stat_blocks
from benchmark.contract import Metric, Prediction, PredictionSet, Sample, SampleSet, Stats
from benchmark.problems import BenchmarkError, DataError, Problem, raise_if_any

FIT = "Predict for the image as the truth has it"
PATIENCE = 2.0
"""Seconds of work that one process does before others are started, and that must be left for them."""
SECONDS_OF_BLOCK = 0.5
FIRST_BLOCK, SAMPLES_OF_BLOCK = 16, 512
"""A block of statistics is stored after about so long and at most so many; blocks grow while they are quick."""
PORTION, SHARES = 64, 8
"""Samples of a portion that a process is given at most; and how many portions each shall get at least."""
OBJECTS_OF_COLLECTION = 200_000
"""New objects after which Python looks for garbage; by itself it does after 700, a tenth of the time of scoring."""
KEPT = 1 << 25
"""Bytes of freed memory that are kept, and of one piece that is taken from there; glibc takes no more."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _GIVEN_BACK = -1, -3, 1 << 17
"""Names of two options in glibc's malloc.h, and their value by default."""
Report = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""
Key = TypeVar("Key")
Value = TypeVar("Value")
Found = tuple[int, Problem]
"""Index of a sample, and what is wrong with it."""


@runtime_checkable
class MeasuresMany(Protocol):
    """A metric that is quicker with several samples at once."""

    def measure_many(self, pairs: Sequence[tuple[Sample, Prediction]]) -> list[Stats]:
        """Statistics of each pair, equal to those of `measure`. Raises BenchmarkError if any pair has a problem."""
        ...


def remembering(
    samples: SampleSet, predictions: PredictionSet, indices: Sequence[int]
) -> tuple[SampleSet, PredictionSet]:
    """The same sets, which build some samples and predictions once and keep them."""
    kept_samples: dict[int, Sample | None] = dict.fromkeys(indices)
    kept_predictions: dict[str, Prediction | None] = {samples.ids[index]: None for index in indices}
    return (
        SampleSet(samples.ids, _remembered(samples.build, kept_samples)),
        PredictionSet(predictions.ids, _remembered(predictions.build, kept_predictions)),
    )


def _remembered(build: Callable[[Key], Value], kept: dict[Key, Value | None]) -> Callable[[Key], Value]:
    def find(key: Key) -> Value:
        found = kept.get(key)
        if found is None:
            found = build(key)
            if key in kept:
                kept[key] = found
        return found

    return find


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is measured. place: the predictions, for messages."""

    metric: Metric
    samples: SampleSet
    predictions: PredictionSet
    place: str

    def measure(self, index: int) -> tuple[Stats | None, list[Found]]:
        """Statistics of a sample, or the problems that it has."""
        sample_id = self.samples.ids[index]
        try:
            return self.metric.measure(self.samples[index], self.predictions[sample_id]), []
        except DataError as error:
            return None, [(index, problem) for problem in error.problems]
        except BenchmarkError as error:
            return None, [(index, Problem(place=self.place, message=str(error).rstrip("."), remedy=FIT))]

    def measure_many(self, indices: Sequence[int]) -> tuple[list[Stats], list[Found]]:
        """`measure` of several samples, together where the metric can."""
        if isinstance(self.metric, MeasuresMany):
            with contextlib.suppress(BenchmarkError):
                ids = [self.samples.ids[index] for index in indices]
                pairs = [(self.samples[n], self.predictions[one]) for n, one in zip(indices, ids, strict=True)]
                return self.metric.measure_many(pairs), []
        # One by one, every problem is found and known by its sample.
        results = [self.measure(index) for index in indices]
        return [one for one, _ in results if one is not None], [found for _, some in results for found in some]


def measure(
    work: Work, *, folder: Path | None = None, workers: int | None = None, report: Report | None = None
) -> list[Stats]:
    """Statistics of all samples that have a prediction, in the order of the samples.

    folder: where they are kept; what is kept there already is not measured again. None: nowhere.
    workers: processes at most, None for one a core. Raises one DataError with the problems of all samples.
    """
    known = {} if folder is None else stat_blocks.read_folder(folder)
    wanted = [index for index, sample_id in enumerate(work.samples.ids) if sample_id in work.predictions]
    left = [index for index in wanted if work.samples.ids[index] not in known]
    problems: list[Found] = []
    done = len(work.samples) - len(left)
    with contextlib.ExitStack() as stack:
        shard = stack.enter_context(stat_blocks.BlockWriter(folder)) if folder is not None and left else None
        for stats, blocks, found, num in _portions(work, left, num_workers(workers), needs_blocks=shard is not None):
            if shard is not None:
                shard.append(blocks)
            known |= {one.sample_id: one for one in stats}
            problems += found
            done += num
            if report is not None:
                report(done, len(work.samples))
    raise_if_any(problem for _, problem in sorted(problems, key=lambda one: one[0]))
    return [known[work.samples.ids[index]] for index in wanted]


def num_workers(wanted: int | None) -> int:
    """Processes at most: as many as wanted, None: one a core."""
    return len(os.sched_getaffinity(0)) if wanted is None else wanted


Portion = tuple[list[Stats], bytes, list[Found], int]
"""Statistics, the same as blocks (empty where nobody wants them), problems, and how many samples they are of."""


def _portions(work: Work, left: Sequence[int], workers: int, *, needs_blocks: bool) -> Iterator[Portion]:
    """All samples, first by this process alone; the rest by several if there is enough of it."""
    started = time.monotonic()
    place, size = 0, FIRST_BLOCK
    while place < len(left):
        spent = time.monotonic() - started
        if workers > 1 and place and spent > PATIENCE and spent / place * (len(left) - place) > PATIENCE:
            yield from _in_processes(work, left[place:], workers)
            return
        begun = time.process_time()
        stats, found, num = _block(work, left[place : place + size])
        place += num
        is_quick = time.process_time() - begun < SECONDS_OF_BLOCK / 4
        size = min(2 * size, SAMPLES_OF_BLOCK) if is_quick else size
        yield stats, stat_blocks.encode(stats) if needs_blocks else b"", found, num


def _block(work: Work, left: Sequence[int]) -> tuple[list[Stats], list[Found], int]:
    """Statistics and problems of the first samples, and how many they are: all, unless they take too long."""
    if isinstance(work.metric, MeasuresMany):
        return *work.measure_many(left), len(left)
    stats: list[Stats] = []
    problems: list[Found] = []
    started = time.monotonic()
    num = 0
    while num < len(left) and (not num or time.monotonic() - started < SECONDS_OF_BLOCK):
        one, found = work.measure(left[num])
        stats += [] if one is None else [one]
        problems += found
        num += 1
    return stats, problems, num


def _in_processes(work: Work, left: Sequence[int], workers: int) -> Iterator[Portion]:
    """Portions of the samples as processes finish them."""
    size = max(1, min(PORTION, len(left) // (workers * SHARES)))
    waiting = iter([left[start : start + size] for start in range(0, len(left), size)])
    with one_thread(), _processes(work, workers) as lines:
        busy = {line for line in lines if _hand_out(line, waiting)}
        while busy:
            for line in wait(list(busy)):
                assert isinstance(line, Connection)
                blocks, found, num = _received(line)
                if not _hand_out(line, waiting):
                    busy.remove(line)
                yield stat_blocks.decode(blocks), blocks, found, num


def _hand_out(line: Connection, waiting: Iterator[Sequence[int]]) -> bool:
    """Give the next portion to a process; False if there is none."""
    portion = next(waiting, None)
    if portion is not None:
        line.send(portion)
    return portion is not None


def _received(line: Connection) -> tuple[bytes, list[Found], int]:
    """A finished portion. Raises what the process raised, or BenchmarkError if it is gone."""
    try:
        answer = line.recv()
    except EOFError as error:
        raise BenchmarkError(
            "a process that measured samples was ended from outside, perhaps for want of memory. Run the same command "
            "again: it continues. '--workers 1' needs the least memory."
        ) from error
    if isinstance(answer, BaseException):
        raise answer
    blocks, found, num = answer
    return blocks, found, num


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV on one thread: its own would not survive a fork, and pictures are too small to gain from them."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for cycles of garbage seldom: scoring makes objects by the million and hardly a cycle."""
    thresholds = gc.get_threshold()
    gc.set_threshold(OBJECTS_OF_COLLECTION, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


@contextlib.contextmanager
def memory_kept() -> Iterator[None]:
    """Keep freed memory for the next picture: asking the kernel for it anew takes as long as decoding the picture.

    By itself glibc gives back what is more than 128 KiB. Other C libraries are left as they are.
    """
    options = (_TRIM_THRESHOLD, _MMAP_THRESHOLD)
    set_option = getattr(ctypes.CDLL(None), "mallopt", lambda option, value: None)
    for option in options:
        set_option(option, KEPT)
    try:
        yield
    finally:
        for option in options:
            set_option(option, _GIVEN_BACK)


@contextlib.contextmanager
def _processes(work: Work, workers: int) -> Iterator[list[Connection]]:
    """Lines to forked processes, which end with the block."""
    # What is there now is never looked at by the collector, whose marks would copy every page in every process.
    gc.collect()
    gc.freeze()
    context = multiprocessing.get_context("fork")
    lines: list[Connection] = []
    started = []
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            lines.append(ours)
            process = context.Process(target=_serve, args=(work, theirs, tuple(lines)), daemon=True)
            process.start()
            started.append(process)
            theirs.close()
        yield lines
    finally:
        for line in lines:
            line.close()
        for process in started:
            process.terminate()
            process.join()
        gc.unfreeze()


def _serve(work: Work, line: Connection, others: Sequence[Connection]) -> None:
    """Measure portions until the line is cut. others: ends that a fork copies and that must not keep lines open."""
    for other in others:
        other.close()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        while True:
            indices = line.recv()
            answer: object
            try:
                stats, found = work.measure_many(indices)
                answer = (stat_blocks.encode(stats), found, len(indices))
            except OSError as error:
                answer = error
            except Exception:
                answer = RuntimeError(f"in a process that measured samples:\n{traceback.format_exc()}")
            line.send(answer)
