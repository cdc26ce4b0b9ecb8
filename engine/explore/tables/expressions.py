"""Expressions of protocol tables: signed 64-bit integers with C's operators and precedence, as trees.

A tree is a tuple: (num, value), (var, name), (elem, name, tree), (un, operator, tree), (bin, operator, tree, tree).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from engine.errors import UserError

Tree = tuple[Any, ...]

LENGTH_MAX = 2_000
DEPTH_MAX = 60
BITS = 64
_LEVELS = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", "<=", ">", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
_BINDS = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}
_TOKEN = re.compile(r"\s*(?:(0[xX][0-9a-fA-F]+|\d+)|([A-Za-z_]\w*)|(\|\||&&|[=!<>]=|<<|>>|[-+*/%&|^~!<>()\[\]]))")


class BadExpression(UserError):
    """An expression that cannot be parsed."""


class Fault(ArithmeticError):
    """An expression without a value: division by zero, an element that does not exist, a shift outside 0 to 63."""


def parse(text: str) -> Tree:
    """Return the tree of an expression. Raises BadExpression with a one-line message."""
    if len(text) > LENGTH_MAX:
        raise BadExpression(f"an expression of {len(text)} characters: at most {LENGTH_MAX}")
    parser = _Parser(text)
    tree = parser.binary(0, 0)
    if parser.token:
        raise BadExpression(f"unexpected {parser.token!r} in {text!r}: expected an operator or the end")
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self.token = ""
        self._next()

    def _next(self) -> str:
        was, self.token = self.token, next(self._tokens, "")
        return was

    def _take(self, wanted: str) -> None:
        if self.token != wanted:
            raise BadExpression(f"{wanted!r} is missing in {self._text!r}")
        self._next()

    def binary(self, level: int, depth: int) -> Tree:
        if level == len(_LEVELS):
            return self._unary(depth)
        left = self.binary(level + 1, depth)
        while _BINDS.get(self.token) == level:
            operator = self._next()
            left = ("bin", operator, left, self.binary(level + 1, depth))
        return left

    def _unary(self, depth: int) -> Tree:
        if depth > DEPTH_MAX:
            raise BadExpression(f"more than {DEPTH_MAX} nested brackets and signs in {self._text!r}")
        token = self._next()
        if token in {"!", "~", "-"}:
            return ("un", token, self._unary(depth + 1))
        if token == "(":
            tree = self.binary(0, depth + 1)
            self._take(")")
            return tree
        if token[:1].isdigit():
            hexadecimal = token[:2].lower() == "0x"
            value = int(token, 16 if hexadecimal else 10)
            if value >= 1 << BITS - (not hexadecimal):
                raise BadExpression(f"{token} does not fit into {BITS} bits" + " (signed)" * (not hexadecimal))
            return ("num", wrapped(value))
        if not token or not (token[0].isalpha() or token[0] == "_"):
            what = repr(token) if token else "the end"
            raise BadExpression(f"a number, a name or a bracket is missing before {what} in {self._text!r}")
        if self.token != "[":
            return ("var", token)
        self._next()
        index = self.binary(0, depth + 1)
        self._take("]")
        return ("elem", token, index)


def _tokens(text: str) -> Iterator[str]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise BadExpression(f"{text[at:].lstrip()[:1]!r} is not allowed in an expression: {text!r}")
        yield found[0].strip()
        at = found.end()


def names(tree: Tree) -> Iterator[Tree]:
    """Yield every ("var", ...) and ("elem", ...) in a tree."""
    if tree[0] in {"var", "elem"}:
        yield tree
    for part in tree[1:]:
        if isinstance(part, tuple):
            yield from names(part)


def parts(tree: Tree) -> Iterator[Tree]:
    """Yield a tree and all trees in it."""
    yield tree
    for part in tree[1:]:
        if isinstance(part, tuple):
            yield from parts(part)


def constant(tree: Tree) -> bool:
    """Whether a tree names no variable, and has a value."""
    if any(names(tree)):
        return False
    try:
        value_of(tree)
    except Fault:
        return False
    return True


def value_of(tree: Tree) -> int:
    """Return the value of a tree that names no variable. Raises Fault."""
    return evaluate(tree, _nothing)


def _nothing(name: str, index: int) -> int:
    raise AssertionError(name)


def wrapped(value: int) -> int:
    """Return the value wrapped to a signed 64-bit integer."""
    return (value + (1 << BITS - 1)) % (1 << BITS) - (1 << BITS - 1)


def evaluate(tree: Tree, read: Callable[[str, int], int]) -> int:
    """Return the value of a tree; read(name, index) returns a variable's, index 0 for a scalar. Raises Fault."""
    match tree:
        case ("num", value):
            return int(value)
        case ("var", name):
            return read(name, 0)
        case ("elem", name, index):
            return read(name, evaluate(index, read))
        case ("un", operator, inner):
            value = evaluate(inner, read)
            return wrapped({"!": int(not value), "~": ~value, "-": -value}[operator])
        case ("bin", "&&", left, right):
            return int(bool(evaluate(left, read)) and bool(evaluate(right, read)))
        case ("bin", "||", left, right):
            return int(bool(evaluate(left, read)) or bool(evaluate(right, read)))
        case ("bin", operator, left, right):
            return wrapped(_OPERATIONS[operator](evaluate(left, read), evaluate(right, read)))
    raise AssertionError(tree)


def _divided(left: int, right: int) -> int:
    if right == 0:
        raise Fault("a division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _shift(count: int) -> int:
    if not 0 <= count < BITS:
        raise Fault(f"a shift by {count} bits")
    return count


_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&": lambda a, b: a & b,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    "<=": lambda a, b: int(a <= b),
    ">": lambda a, b: int(a > b),
    ">=": lambda a, b: int(a >= b),
    "<<": lambda a, b: a << _shift(b),
    ">>": lambda a, b: a >> _shift(b),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divided,
    "%": lambda a, b: a - b * _divided(a, b),
}
