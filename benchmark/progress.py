"""Progress of long work: a bar that renews itself on a terminal, plain lines with the remaining time elsewhere.

Written to standard error, so that what a command prints stays clean when it is piped into a file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

BAR_WIDTH = 28
SECONDS_BETWEEN_LINES = 15.0
SECONDS_BETWEEN_BARS = 0.1


class Progress:
    """Shows how far a stage is. Use as a context manager and call `update`; off a terminal, quick stages stay silent.

    label: what is done. stream: where to write, standard error by default. clock: seconds, monotonic.
    """

    def __init__(
        self, label: str, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._label, self._clock = label, clock
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()
        self._started = self._shown = clock()
        self._first: int | None = None
        self._last = 0
        self._is_open = False

    def update(self, done: int, total: int, note: str = "") -> None:
        """Report `done` of `total`; what was done before the first call does not count for the remaining time.

        Counting that starts again at a lower number is a new part with a time of its own.
        """
        now = self._clock()
        if done < self._last:
            self._started, self._first = self._shown, None
        if self._first is None:
            self._first = done - 1 if done else 0
        self._last = done
        pause = SECONDS_BETWEEN_BARS if self._is_terminal else SECONDS_BETWEEN_LINES
        is_quick = not self._is_terminal and now - self._started < pause
        if is_quick or (done < total and now - self._shown < pause):
            return
        self._shown = now
        self._write(self._line(done, total, now - self._started, note), is_last=done >= total)

    def _line(self, done: int, total: int, seconds: float, note: str) -> str:
        fresh = done - (self._first or 0)
        rest = seconds / fresh * (total - done) if fresh > 0 else 0.0
        timing = f"{duration(seconds)}, {duration(rest)} left" if done < total else duration(seconds)
        filled = BAR_WIDTH * done // max(total, 1)
        bar = f" [{'#' * filled}{'.' * (BAR_WIDTH - filled)}]" if self._is_terminal else ""
        return f"  {self._label}{bar} {done:,}/{total:,}  {timing}{'  ' + note if note else ''}"

    def _write(self, line: str, *, is_last: bool) -> None:
        if self._is_terminal:
            print(f"\r\033[K{line}", end="\n" if is_last else "", file=self._stream, flush=True)
            self._is_open = not is_last
        else:
            print(line, file=self._stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_open:
            print(file=self._stream, flush=True)
            self._is_open = False


def duration(seconds: float) -> str:
    """A duration to read: "8 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
