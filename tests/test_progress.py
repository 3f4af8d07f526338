"""Progress: a bar that renews itself on a terminal, a line now and then with the remaining time elsewhere."""

from __future__ import annotations

import io

import pytest

from benchmark.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO, seconds_a_step: float, *, first: int = 1, total: int = 10) -> list[str]:
    now = [0.0]
    with Progress("train", stream=stream, clock=lambda: now[0]) as progress:
        for done in range(first, total + 1):
            now[0] += seconds_a_step
            progress.update(done, total, "loss 0.5")
    return stream.getvalue().splitlines()


def test_lines_elsewhere_are_rare_and_say_what_is_left() -> None:
    lines = show(io.StringIO(), 6.0)
    assert lines == [
        "  train 3/10  18 s, 42 s left  loss 0.5",
        "  train 6/10  36 s, 24 s left  loss 0.5",
        "  train 9/10  54 s, 6 s left  loss 0.5",
        "  train 10/10  1 min 0 s  loss 0.5",
    ]


def test_quick_work_elsewhere_is_silent() -> None:
    assert show(io.StringIO(), 0.01) == []


def test_a_terminal_gets_one_line_that_renews_itself() -> None:
    stream = Terminal()
    show(stream, 1.0)
    assert stream.getvalue().count("\n") == 1 and stream.getvalue().count("\r") == 10
    assert stream.getvalue().endswith("[############################] 10/10  10 s  loss 0.5\n")


def test_an_interrupted_bar_ends_its_line() -> None:
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), Progress("train", stream=stream, clock=iter(range(9)).__next__) as progress:
        progress.update(1, 10)
        raise KeyboardInterrupt
    assert stream.getvalue().endswith("\n")


def test_what_was_done_before_does_not_count_for_the_remaining_time() -> None:
    lines = show(io.StringIO(), 20.0, first=9)
    assert lines[0] == "  train 9/10  20 s, 20 s left  loss 0.5"


def test_counting_again_from_below_is_a_new_part() -> None:
    stream, now = io.StringIO(), [0.0]
    progress = Progress("train", stream=stream, clock=lambda: now[0])
    for done, total in ((1, 2), (2, 2), (1, 4), (2, 4)):
        now[0] += 20.0
        progress.update(done, total)
    assert stream.getvalue().splitlines()[-1] == "  train 2/4  40 s, 40 s left"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.2, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_read_well(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
