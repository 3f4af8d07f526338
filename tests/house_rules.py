"""The checkable rules of the house: each takes one parsed source file and yields what breaks the rule.

A violation names the place so that the allow-list of `test_house.py` can excuse it, with a reason. Limits are the
"never above" column; what only a reader can judge is left to review.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_MODULE_LINES = 600
MAX_FUNCTION_LINES = 80
MAX_PARAMETERS = 10
MAX_COMPONENT_PARAMETERS = 15
MAX_NESTING = 4
MAX_POSITIONAL_FIELDS = 3

PACKAGES = ("benchmark", "configs", "leaderboards", "models", "reports")
COMMAND_FILES = ("__main__.py", "run.py", "environment.py", "progress.py", "launch.py")
COMMAND_FOLDERS = ("benchmark/installation/",)
FORBIDDEN_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "base",
    "core",
    "manager",
    "v2",
    "new",
    "legacy",
}
SHAPED_FOLDERS = ("benchmark/contract.py", "benchmark/metrics/", "models/")
ARRAY_TYPE = re.compile(r"\b(NDArray|ndarray|Tensor)\b")
MAPPING = re.compile(r"(dict|Mapping|MutableMapping|OrderedDict|Callable)\[")
SHAPE = re.compile(r"\[[^\]]*\]|\bscalar\b|\bany shape\b")
SHAPE_SUFFIX = re.compile(r"_[A-Z][A-Z0-9]{0,7}$")
INDEX_HOSTS = ("py" + "pi.", "python" + "hosted", "ana" + "conda.org", "download." + "pytorch")
MACHINE_PATHS = re.compile(r"(?<![\w.$}\"'])/(work|tmp|root|home|mnt|opt)/\w|\.\./" + "shared|" + "|".join(INDEX_HOSTS))
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error|x" + r"fail)\b")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Python file of the repository. path: relative, with forward slashes."""

    path: str
    text: str
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        """Whether the file belongs to the tests."""
        return self.path.startswith("tests/")

    @property
    def is_command(self) -> bool:
        """Whether the file may talk to the user."""
        return Path(self.path).name in COMMAND_FILES or self.path.startswith(COMMAND_FOLDERS) or self.is_test


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """place: "file" or "file:name", the key of the allow-list. what: the finding, with the value and the line."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def parse(path: str, text: str) -> Source:
    """A source file; `SyntaxError` if it is not Python."""
    return Source(path=path, text=text, tree=ast.parse(text, filename=path))


def module_size(source: Source) -> Iterator[Violation]:
    """Modules above the line limit."""
    num_lines = source.text.count("\n")
    if num_lines > MAX_MODULE_LINES:
        yield Violation(place=source.path, what=f"{num_lines} lines, at most {MAX_MODULE_LINES}")


def function_size(source: Source) -> Iterator[Violation]:
    """Functions above the line limit."""
    for name, function, _ in functions(source):
        num_lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if num_lines > MAX_FUNCTION_LINES:
            yield found(source, name, function, f"{num_lines} lines, at most {MAX_FUNCTION_LINES}")


def parameters(source: Source) -> Iterator[Violation]:
    """Functions with too many parameters; constructors in `models/` with more than one positional argument."""
    for name, function, owner in functions(source):
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        if owner and not is_static(function):
            positional = positional[1:]
        is_component = source.path.startswith("models/") and function.name == "__init__"
        limit = MAX_COMPONENT_PARAMETERS if is_component else MAX_PARAMETERS
        num = len(positional) + len(arguments.kwonlyargs)
        if num > limit:
            yield found(source, name, function, f"{num} parameters, at most {limit}")
        if is_component and len(positional) > 1:
            yield found(source, name, function, f"{len(positional)} positional arguments, keyword-only after the first")


def nesting(source: Source) -> Iterator[Violation]:
    """Functions whose blocks nest too deep."""
    for name, function, _ in functions(source):
        depth = max((block_depth(child) for child in function.body), default=0)
        if depth > MAX_NESTING:
            yield found(source, name, function, f"nested {depth} deep, at most {MAX_NESTING}")


def types(source: Source) -> Iterator[Violation]:
    """Functions with an untyped parameter or result."""
    for name, function, owner in functions(source):
        arguments = function.args
        given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        given += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
        if owner and not is_static(function):
            given = given[1:]
        untyped = [argument.arg for argument in given if argument.annotation is None]
        if function.returns is None:
            untyped.append("the result")
        if untyped:
            yield found(source, name, function, f"no type for {', '.join(untyped)}")


def docstrings(source: Source) -> Iterator[Violation]:
    """Modules, public classes and public functions without a docstring; test functions speak by their names."""
    text = ast.get_docstring(source.tree) or ""
    is_package = source.path.endswith("__init__.py") or source.is_test
    if len(text.splitlines()) < (1 if is_package else 2):
        yield Violation(place=source.path, what="module docstring of two to six lines missing")
    if source.is_test:
        return
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield Violation(place=f"{source.path}:{node.name}", what=f"line {node.lineno}: no docstring")
    for name, function, owner in functions(source):
        is_public = not any(part.startswith("_") for part in name.split("."))
        is_short_method = owner is not None and len(function.body) == 1
        if is_public and not is_short_method and not ast.get_docstring(function):
            yield found(source, name, function, "no docstring")


def shapes(source: Source) -> Iterator[Violation]:
    """Public functions that take arrays of unstated shape, where arrays pass between people."""
    if not source.path.startswith(SHAPED_FOLDERS):
        return
    stated = {name for name, function, _ in functions(source) if SHAPE.search(ast.get_docstring(function) or "")}
    for name, function, owner in functions(source):
        if any(part.startswith("_") for part in name.split(".")):
            continue
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        typed = [(a.arg, ast.unparse(a.annotation)) for a in arguments if a.annotation]
        arrays = [name for name, text in typed if ARRAY_TYPE.search(text) and not MAPPING.match(text)]
        unstated = [argument for argument in arrays if not SHAPE_SUFFIX.search(argument)]
        text = (ast.get_docstring(function) or "") + ((ast.get_docstring(owner) or "") if owner else "")
        is_elsewhere = any(f"`{other}`" in text for other in stated)
        if unstated and not is_elsewhere and not SHAPE.search(text):
            yield found(source, name, function, f"no shape stated for {', '.join(unstated)}")


def names(source: Source) -> Iterator[Violation]:
    """File and folder names that say nothing, or that hide a module of the standard library."""
    parts = Path(source.path).with_suffix("").parts
    for part in parts:
        if FORBIDDEN_NAMES & set(part.split("_")) and part != "__main__":
            yield Violation(place=source.path, what=f"{part!r} does not say what it holds")
    if parts[-1] in sys.stdlib_module_names and not parts[-1].startswith("_"):
        yield Violation(place=source.path, what=f"{parts[-1]!r} is a module of the standard library")


def talking(source: Source) -> Iterator[Violation]:
    """`print` and `sys.exit` outside the modules that are commands."""
    if source.is_command:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in {"print", "sys.exit", "exit", "quit", "os._exit"}:
                yield Violation(place=source.path, what=f"line {node.lineno}: {called}() outside a command module")


def global_state(source: Source) -> Iterator[Violation]:
    """`global`, wildcard imports, process-wide settings, and environment variables written outside `launch.py`."""
    switches = {"warnings.filterwarnings", "warnings.simplefilter", "np.random.seed", "random.seed"}
    for node in ast.walk(source.tree):
        what = None
        if isinstance(node, ast.Global):
            what = "global"
        elif isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            what = "wildcard import"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in switches and not source.is_test:
            what = ast.unparse(node.func)
        elif writes_environment(node) and not source.path.endswith("/launch.py"):
            what = "writes an environment variable"
        if what:
            yield Violation(place=source.path, what=f"line {node.lineno}: {what}")


def registries(source: Source) -> Iterator[Violation]:
    """Registration by decorator."""
    for node in ast.walk(source.tree):
        for decorator in getattr(node, "decorator_list", []):
            if re.search(r"(^|\.|_)register(_|$|\b)", ast.unparse(decorator).split("(")[0].lower()):
                yield Violation(place=source.path, what=f"line {decorator.lineno}: registered by a decorator")


def records(source: Source) -> Iterator[Violation]:
    """Public dataclasses that are not frozen and slotted, or that take more than three fields by position."""
    for node in source.tree.body:
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        for text in map(ast.unparse, node.decorator_list):
            if text.split("(")[0] not in {"dataclass", "dataclasses.dataclass"}:
                continue
            num_fields = sum(isinstance(statement, ast.AnnAssign) for statement in node.body)
            needed = ("frozen", "slots", "kw_only") if num_fields > MAX_POSITIONAL_FIELDS else ("frozen", "slots")
            missing = [word for word in needed if f"{word}=True" not in text]
            if missing:
                place = f"{source.path}:{node.name}"
                yield Violation(place=place, what=f"line {node.lineno}: dataclass lacks {', '.join(missing)}")


def swallowing(source: Source) -> Iterator[Violation]:
    """Exceptions that are caught by everything, or caught and forgotten."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield Violation(place=source.path, what=f"line {node.lineno}: bare except")
        elif all(isinstance(statement, ast.Pass) for statement in node.body):
            yield Violation(place=source.path, what=f"line {node.lineno}: exception swallowed")


def unfinished(source: Source) -> Iterator[Violation]:
    """Notes to self, stubs and tests that are expected to fail."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        if match := UNFINISHED.search(line):
            yield Violation(place=source.path, what=f"line {number}: {match[0]}")


def python_range(source: Source) -> Iterator[Violation]:
    """Calls that Python 3.11.0 does not know: `filter` of tarfile came with 3.11.4 and is missing in Debian 12."""
    for node in ast.walk(source.tree):
        is_unpacking = isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".extractall", ".extract"))
        if is_unpacking and any(keyword.arg == "filter" for keyword in node.keywords):
            yield Violation(place=source.path, what=f"line {node.lineno}: tarfile's filter= needs Python 3.11.4")


def machine_paths(path: str, text: str) -> Iterator[Violation]:
    """Folders of one machine and hosts of package indexes, in a file of any kind."""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := MACHINE_PATHS.search(line):
            yield Violation(place=path, what=f"line {number}: {match[0]!r} exists on one machine only")


RULES: dict[str, Callable[[Source], Iterator[Violation]]] = {
    "module size": module_size,
    "function size": function_size,
    "parameters": parameters,
    "nesting": nesting,
    "types": types,
    "docstrings": docstrings,
    "shapes": shapes,
    "names": names,
    "talking": talking,
    "global state": global_state,
    "registries": registries,
    "records": records,
    "swallowing": swallowing,
    "unfinished": unfinished,
    "python range": python_range,
}


def functions(source: Source) -> Iterator[tuple[str, FunctionNode, ast.ClassDef | None]]:
    """(qualified name, function, class) of every module-level function and method; inner functions stay inside."""
    for node in source.tree.body:
        if isinstance(node, FunctionNode):
            yield node.name, node, None
        if isinstance(node, ast.ClassDef):
            for child in node.body:
                if isinstance(child, FunctionNode):
                    yield f"{node.name}.{child.name}", child, node


def found(source: Source, name: str, function: FunctionNode, what: str) -> Violation:
    """A violation of one function."""
    return Violation(place=f"{source.path}:{name}", what=f"line {function.lineno}: {what}")


def is_static(function: FunctionNode) -> bool:
    """Whether the function is a static method."""
    return any(ast.unparse(decorator) == "staticmethod" for decorator in function.decorator_list)


def block_depth(node: ast.AST) -> int:
    """How many blocks nest below and including `node`; an `elif` is as deep as its `if`."""
    is_block = isinstance(
        node, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match | ast.AsyncFor | ast.AsyncWith
    )
    depths = [0]
    for field, value in ast.iter_fields(node):
        children = [child for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST)]
        is_elif = (
            field == "orelse" and len(children) == 1 and isinstance(children[0], ast.If) and isinstance(node, ast.If)
        )
        depths += [block_depth(child) - (1 if is_elif else 0) for child in children]
    return max(depths) + (1 if is_block else 0)


def writes_environment(node: ast.AST) -> bool:
    """Whether the node assigns, removes or updates an environment variable."""
    if isinstance(node, ast.Assign | ast.Delete):
        return any(ast.unparse(target).startswith("os.environ[") for target in node.targets)
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        return called in {"os.putenv", "os.environ.update", "os.environ.setdefault", "os.environ.pop"}
    return False
