"""Keeps the house: sizes, names, types, docstrings, state, and the frozen command-line options of the suite.

Every rule is shown to catch a planted breach, so a rule that stopped working is noticed. What may break a rule is
listed in `ALLOWED` with its reason; an entry that excuses nothing any more fails too.
"""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
from house_rules import PACKAGES, RULES, Source, Violation, machine_paths, parse

ROOT = Path(__file__).resolve().parents[1]
MAX_SIMILARITY = 0.7
FEWEST_LINES = 12
"""Files with fewer lines of code are not compared with each other."""

ALLOWED: dict[tuple[str, str], str] = {}
"""(rule, place) to the reason of the exception."""

SUITE_OPTIONS = [
    "--baseline",
    "--benchmarks",
    "--cfg-options",
    "--checkpoint",
    "--data-root",
    "--dry-run",
    "--eval-only",
    "--help",
    "--launcher",
    "--limit",
    "--list",
    "--no-resume",
    "--resume",
    "--seed",
    "--suite",
    "--system",
    "--truth",
    "--work-dir",
    "--workers",
]
"""Every option of `benchmark/run.py`. A new one needs an argument why a row or a configuration cannot say it."""

BREACHES = {
    "module size": '"""A.\n\nB."""\n' + "x = 1\n" * 600,
    "function size": "def f() -> None:\n" + "    x = 1\n" * 80,
    "parameters": "def f(a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int, i: int, j: int, k: int): ...",
    "nesting": "def f():\n for a in b:\n  if a:\n   with a:\n    while a:\n     if a: pass\n",
    "types": "def f(a) -> None: ...",
    "docstrings": '"""A.\n\nB."""\n\ndef f() -> None:\n    return None\n',
    "shapes": 'def f(a: NDArray) -> int:\n    """Something."""\n',
    "names": "",
    "talking": "print('x')",
    "global state": "import os\nos.environ['A'] = '1'\n",
    "registries": "@MODELS.register_module()\nclass A: ...\n",
    "records": "@dataclass(frozen=True)\nclass A: ...\n",
    "swallowing": "try:\n    f()\nexcept ValueError:\n    pass\n",
    "unfinished": "raise NotImplemented" + "Error\n",
    "python range": "archive.extractall('a', filter='data')",
}
BREACH_PATHS = {"names": "models/utils.py"}


@cache
def tracked() -> tuple[str, ...]:
    """Files that git follows or would follow, relative to the root; without git, everything that is not built."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        listed = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if not path.relative_to(ROOT).match(".*/*")]
    return tuple(sorted(path for path in listed if (ROOT / path).is_file()))


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the packages and the tests, parsed."""
    folders = (*PACKAGES, "tests")
    chosen = [path for path in tracked() if path.endswith(".py") and path.split("/")[0] in folders]
    return tuple(parse(path, (ROOT / path).read_text(encoding="utf-8")) for path in chosen)


def report(rule: str, violations: Iterator[Violation] | list[Violation]) -> str:
    """The violations that the allow-list does not excuse, one per line."""
    return "\n".join(str(violation) for violation in violations if (rule, violation.place) not in ALLOWED)


@pytest.mark.parametrize("rule", RULES)
def test_every_file_keeps_the_rule(rule: str) -> None:
    broken = report(rule, [violation for source in sources() for violation in RULES[rule](source)])
    assert not broken, f"{rule}:\n{broken}"


@pytest.mark.parametrize("rule", RULES)
def test_a_planted_breach_is_found(rule: str) -> None:
    source = parse(BREACH_PATHS.get(rule, "models/planted.py"), BREACHES[rule])
    assert list(RULES[rule](source))


def test_the_allow_list_excuses_something_and_says_why() -> None:
    for (rule, place), reason in ALLOWED.items():
        places = {violation.place for source in sources() for violation in RULES[rule](source)}
        assert place in places, f"{rule} no longer needs the exception for {place}"
        assert len(reason.split()) >= 4, f"{rule}, {place}: the exception needs a reason"


def test_folders_are_one_level_deep() -> None:
    deep = [path for path in tracked() if path.split("/")[0] in PACKAGES and path.count("/") > 2]
    deep += [path for path in tracked() if re.match(r"tests/(?!golden/)", path) and path.count("/") > 2]
    assert not deep, "folders below the first level: " + ", ".join(deep)


def test_no_two_files_are_alike() -> None:
    alike = [f"{a} and {b}: {ratio:.0%} alike" for a, b, ratio in similar_pairs({s.path: s.text for s in sources()})]
    assert not alike, "\n".join(alike)


def test_a_planted_copy_is_found() -> None:
    original = "\n".join(f"value_{number} = {number}" for number in range(40))
    copied = original.replace("value_7 ", "other ").replace("value_30 ", "another ")
    assert [pair[:2] for pair in similar_pairs({"a.py": original, "b.py": copied, "c.py": "x = 1\n" * 40})] == [
        ("a.py", "b.py")
    ]


def test_no_file_names_a_machine() -> None:
    broken = [violation for path in tracked() for violation in machine_paths(path, readable(path))]
    assert not broken, report("machine paths", broken)


@pytest.mark.parametrize(
    "line", ["see /wor" + "k/notes", "cd /tm" + "p/x", "../shar" + "ed/a", "https://py" + "pi.org/"]
)
def test_a_planted_machine_path_is_found(line: str) -> None:
    assert list(machine_paths("README.md", line))


def test_workflows_name_targets_and_baselines_that_exist() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"run: make ([a-z]+)", text)) <= targets
    absent = [path for path in re.findall(r"reports/baselines/[\w.]+", text) if not (ROOT / path).is_file()]
    assert not absent, f"no such baseline: {', '.join(absent)}"


def test_the_recipes_are_short() -> None:
    recipes = re.split(r"^## ", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE)
    lengths = {
        recipe.split("\n")[0]: len(recipe.strip().splitlines()) - 2 for recipe in recipes if recipe.startswith("Add a")
    }
    assert len(lengths) == 3 and max(lengths.values()) <= 10, lengths


def test_the_suite_command_has_the_frozen_options() -> None:
    command = [sys.executable, str(ROOT / "benchmark" / "run.py"), "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))) == SUITE_OPTIONS


def readable(path: str) -> str:
    """Text of a file, or nothing if it is binary."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def similar_pairs(texts: dict[str, str]) -> Iterator[tuple[str, str, float]]:
    """(file, file, ratio) of files whose lines of code are more alike than allowed; blank lines and imports aside."""
    lines = {path: code_lines(text) for path, text in texts.items()}
    counts = {path: Counter(code) for path, code in lines.items() if len(code) >= FEWEST_LINES}
    for a, b in combinations(counts, 2):
        total = len(lines[a]) + len(lines[b])
        if 2 * (counts[a] & counts[b]).total() / total <= MAX_SIMILARITY:
            continue  # the order of the lines can only lower the ratio
        ratio = difflib.SequenceMatcher(None, lines[a], lines[b], autojunk=False).ratio()
        if ratio > MAX_SIMILARITY:
            yield a, b, ratio


def code_lines(text: str) -> list[str]:
    """Lines of code without indentation, blank lines, comments and imports."""
    stripped = [line.strip() for line in text.splitlines()]
    return [line for line in stripped if line and not line.startswith(("#", "import ", "from "))]
