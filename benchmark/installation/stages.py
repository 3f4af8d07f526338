"""Numbered stages that survive being killed: each runs once, is logged to a file and leaves a marker when it is done.

A marker holds a hash of everything its stage depends on, earlier stages included. A stage whose marker fits is
skipped; one that was killed has no marker and runs again, so nothing half-built counts as done.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LINE_EVERY = 30.0
"""Seconds between two progress lines where the output is not a terminal."""

OWNER = "UNISEGBENCH_SETUP"
"""Environment variable that marks the processes of a setup; its value is the log folder."""


class StageError(Exception):
    """A stage failed; the message is what the user reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the setup.

    name: what it does, as the user reads it. slug: file name of its log and marker.
    minutes: expected duration. inputs: everything its result depends on, besides the stages before it.
    """

    name: str
    slug: str
    minutes: float
    inputs: Sequence[str]
    run: Callable[[Shell], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Runs the commands of one stage: output goes to `log`, progress to the terminal.

    label: "[3/9] compile ...", printed with every progress line. environment: variables of every command.
    """

    label: str
    log: Path
    minutes: float
    environment: Mapping[str, str]
    started: float = field(default_factory=time.monotonic)

    def run(
        self, command: Sequence[str | Path], *, cwd: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> None:
        """Run `command` to its end, showing progress; `StageError` with the last lines of the log if it fails."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered, so that what a Python command prints stands in the log in the order it was printed.
        ours = {"PYTHONUNBUFFERED": "1", OWNER: str(self.log.parent)}
        environment = {**self.environment, **(variables or {}), **ours}
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(str(part) for part in command)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=cwd, env=environment,
                start_new_session=True,
            )  # fmt: skip
        running = self.log.parent / "running"
        running.write_text(str(process.pid))
        try:
            code = self._wait(process)
        except BaseException:
            _end_group(process.pid)
            process.wait()
            raise
        finally:
            running.unlink(missing_ok=True)
        if code:
            raise StageError(failure_text(self.label, self.log, f"exit code {code}"))

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Exit code of `process`, after telling every so often how far it is."""
        is_terminal = sys.stdout.isatty()
        next_line = time.monotonic() + (0.0 if is_terminal else LINE_EVERY)
        while True:
            try:
                code = process.wait(timeout=1.0 if is_terminal else 0.2)
            except subprocess.TimeoutExpired:
                if time.monotonic() >= next_line:
                    next_line += 1.0 if is_terminal else LINE_EVERY
                    print(self._progress(), end="\r" if is_terminal else "\n", flush=True)
                continue
            if is_terminal:
                print("\r\033[K", end="", flush=True)
            return code

    def _progress(self) -> str:
        """One line: stage, counted units if the log has them, minutes gone and expected, log file."""
        counts = re.findall(rb"^ *\[(\d+)/(\d+)\]", self.log.read_bytes()[-200_000:], flags=re.MULTILINE)
        units = f"{int(counts[-1][0])} of {int(counts[-1][1])} files, " if counts else ""
        minutes = (time.monotonic() - self.started) / 60
        return f"{self.label}: {units}{minutes:.1f} of about {self.minutes:g} min, log {self.log}"


def run_stages(stages: Sequence[Stage], markers: Path, logs: Path, environment: Mapping[str, str]) -> int:
    """Run every stage whose marker does not fit, in order; return how many ran."""
    keys = chain_keys(stages)
    num_run = 0
    for number, stage in enumerate(stages, start=1):
        label = f"[{number}/{len(stages)}] {stage.name}"
        if read_marker(markers, stage) == keys[number - 1]:
            print(f"{label}: already done", flush=True)
            continue
        log = logs / f"{number}-{stage.slug}.log"
        print(f"{label} (about {stage.minutes:g} min, log {log})", flush=True)
        log.unlink(missing_ok=True)
        shell = Shell(label=label, log=log, minutes=stage.minutes, environment=environment)
        stage.run(shell)
        write_marker(markers, stage, keys[number - 1])
        print(f"{label}: done in {time.monotonic() - shell.started:.0f} s", flush=True)
        num_run += 1
    return num_run


def chain_keys(stages: Sequence[Stage]) -> list[str]:
    """Hash of each stage's inputs and of all stages before it."""
    keys: list[str] = []
    for stage in stages:
        text = json.dumps([keys[-1:], stage.slug, list(stage.inputs)])
        keys.append(hashlib.sha256(text.encode()).hexdigest())
    return keys


def are_done(stages: Sequence[Stage], markers: Path) -> bool:
    """Whether every stage has a marker that fits."""
    return all(read_marker(markers, stage) == key for stage, key in zip(stages, chain_keys(stages), strict=True))


def read_marker(markers: Path, stage: Stage) -> str | None:
    """The hash that the stage left when it was done, or None."""
    path = markers / stage.slug
    return path.read_text() if path.is_file() else None


def write_marker(markers: Path, stage: Stage, key: str) -> None:
    """Note that the stage is done, in one atomic step."""
    markers.mkdir(parents=True, exist_ok=True)
    partial = markers / f".{stage.slug}.partial"
    partial.write_text(key)
    partial.replace(markers / stage.slug)


def failure_text(label: str, log: Path, reason: str, *, num_lines: int = 12) -> str:
    """One line naming stage, reason and log, then the last lines of the log."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    tail = [f"    {line}" for line in text.splitlines()[-num_lines:]]
    return "\n".join([f"{label}: failed ({reason}). Log: {log}. Its last lines:", *tail])


def end_leftover(logs: Path) -> None:
    """End the command that a killed setup of this checkout left running, so that two never write the same files."""
    running = logs / "running"
    if not running.is_file():
        return
    pid = int(running.read_text() or 0)
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        variables = []
    if f"{OWNER}={logs}".encode() in variables:
        _end_group(pid)
    running.unlink(missing_ok=True)


def _end_group(pid: int) -> None:
    """Kill the process group that `pid` leads, if it still exists."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
