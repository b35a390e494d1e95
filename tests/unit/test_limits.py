"""Size limits of the code (ci/limits.toml): each exception has a reason, and none is left over."""

from __future__ import annotations

import ast
import io
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = tomllib.loads((ROOT / "ci" / "limits.toml").read_text())
LIMITS, EXCEPTIONS = CONFIG["limits"], CONFIG["exceptions"]
SOURCES = sorted([*(ROOT / "pocket_coffea").rglob("*.py"), *(ROOT / "ci").rglob("*.py")])
NESTING = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match, ast.AsyncFor, ast.AsyncWith)


def source_lines(text: str) -> int:
    """Lines with code: no blanks, comments or docstrings."""
    lines: set[int] = set()
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped and token.type != tokenize.ENDMARKER:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        docstring = _docstring(node)
        if docstring is not None:
            lines -= set(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return len(lines)


def _docstring(node: ast.AST) -> ast.Expr | None:
    body = getattr(node, "body", None)
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and body:
        first = body[0]
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            return first
    return None


def function_lines(node: ast.FunctionDef) -> int:
    docstring = _docstring(node)
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    return total - ((docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0)


def nesting(node: ast.AST, depth: int = 0) -> int:
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        step = 1 if isinstance(child, NESTING) and not is_elif else 0
        deepest = max(deepest, nesting(child, depth + step))
    return deepest


def positional_args(node: ast.FunctionDef) -> int:
    args = [*node.args.posonlyargs, *node.args.args]
    return len([arg for arg in args if arg.arg not in ("self", "cls")])


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def violations() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {name: {} for name in LIMITS}
    for path in SOURCES:
        module = str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
        text = path.read_text()
        if source_lines(text) > LIMITS["module_lines"]:
            found["module_lines"][module] = source_lines(text)
        for node in functions(ast.parse(text)):
            measured = {
                "function_lines": function_lines(node),
                "nesting": nesting(node),
                "positional_args": positional_args(node),
            }
            for name, value in measured.items():
                if value > LIMITS[name]:
                    found[name][f"{module}:{node.name}"] = value
    return found


VIOLATIONS = violations()


@pytest.mark.parametrize("limit", sorted(LIMITS))
def test_nothing_is_over_the_limit_without_a_reason(limit):
    allowed = EXCEPTIONS.get(limit, {})
    over = {name: value for name, value in VIOLATIONS[limit].items() if name not in allowed}
    assert over == {}, f"over {limit} = {LIMITS[limit]}; split it, or list it with a reason in ci/limits.toml"


@pytest.mark.parametrize("limit", sorted(LIMITS))
def test_exceptions_are_needed_and_have_reasons(limit):
    for name, reason in EXCEPTIONS.get(limit, {}).items():
        assert len(reason) > 10, f"{name}: give a reason"
        assert name in VIOLATIONS[limit], f"{name} is within {limit}: remove the exception"


def test_the_measures_catch_a_violation():
    deep = (
        "def f(a, b, c, d, e, g, h):\n"
        + "".join(f"{'    ' * level}if {level}:\n" for level in range(1, 6))
        + "    " * 6
        + "pass\n"
    )
    node = next(functions(ast.parse(deep)))
    assert nesting(node) == 5
    assert positional_args(node) == 7
    assert function_lines(node) == 7
    assert source_lines('"""doc\nstring"""\n\n# comment\nx = 1\ny = (\n    2\n)\n') == 4
