"""Identity of the engine: which sources decide the verdict of an exploration."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from engine import VERSION

FOLDER = Path(__file__).parent
LEFT_OUT = {"kernel_functions", "recordings", "scenarios", "struct_page", "summaries"}
"""Folders of the engine that no verdict depends on."""
TOLD = {"about.py", "about.toml"}
"""Files that only pages show."""


@cache
def engine_fingerprint() -> str:
    """Return 12 hexadecimal digits that change when the engine's sources do, other than in comments and docstrings.

    Takes about half a second, once per process.
    """
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        inside = path.relative_to(FOLDER)
        if path.suffix in {".py", ".toml"} and inside.parts[0] not in LEFT_OUT and path.name not in TOLD:
            text = path.read_text("utf-8")
            kept = _code_lines(text) if path.suffix == ".py" else text.splitlines()
            digest.update("\n".join([inside.as_posix(), *kept, ""]).encode())
    return digest.hexdigest()[:12]


def engine_words() -> str:
    """Return the running engine in words: its version and fingerprint."""
    return f"{VERSION} ({engine_fingerprint()})"


def _code_lines(text: str) -> Iterator[str]:
    """Yield the lines of a module without docstrings, blank lines and lines that only hold a comment."""
    docs: set[int] = set()
    for node in _docstrings(ast.parse(text).body):
        docs.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    for number, line in enumerate(text.splitlines(), 1):
        if number not in docs and (code := line.strip()) and not code.startswith("#"):
            yield line.rstrip()


def _docstrings(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the expression statements that are bare strings, in a module, its classes and its functions."""
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield from _docstrings(node.body)
