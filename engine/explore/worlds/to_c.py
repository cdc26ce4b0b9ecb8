"""Translate the engine's steps from Python source to C: the subset of Python they use means the same in both languages.

Integers, columns of the World, if, loops, and calls of other steps are translated; anything else is rejected with its
line. Rules are constants here: branches that they rule out are dropped, with the functions called only from there.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

TYPES = {"int": "I64", "bool": "I64", "word": "U64"}
"""Kind of a value -> its C type: signed number, boolean, unsigned word."""
_BINARY = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
}
_COMPARED = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_DIVIDED = {ast.FloorDiv: "floor_div", ast.Mod: "floor_mod"}
_MINMAX = {"min": "<", "max": ">"}

HELPERS = """
static I64 floor_div(I64 a, I64 b) { return a / b - (a % b != 0 && (a % b < 0) != (b < 0)); }
static I64 floor_mod(I64 a, I64 b) { return a - floor_div(a, b) * b; }
""".strip()


class NotInC(Exception):
    """A step uses Python that cannot be translated; the message has the line and the construct."""


class Told(NamedTuple):
    """A C expression: its text, and its kind (TYPES)."""

    text: str
    kind: str


Element = Callable[[str, str, str, bool], str]
"""(table, column, row as C text, whether it is stored to) -> C text of the element."""


class ToC:
    """Functions translated so far, by C name, and the global integers that they use."""

    def __init__(
        self,
        rules: Mapping[str, int],
        element: Element,
        replaced: Mapping[str, str],
        verb: Callable[[str], Any],
    ) -> None:
        """replaced: "file.function" -> C text for a call of it, {} for an argument; "" drops the call.

        verb: name of a verb -> the design's function for it, or the number that replaces it.
        """
        self.rules, self.element, self.replaced, self.verb = rules, element, replaced, verb
        self.heads: dict[str, str] = {}
        self.bodies: dict[str, str] = {}
        self.globals: set[tuple[str, int]] = set()
        self._names: dict[FunctionType, tuple[str, str]] = {}

    def call(self, function: Any) -> tuple[str, str]:
        """Return a function's C name and the kind of its return value ("" for none); translate it if it is new."""
        python: FunctionType = getattr(function, "py_func", function)
        if python not in self._names:
            name = qualified(python).replace(".", "_")
            if name in self.heads:
                raise NotInC(f"two functions are called {name}")
            self.heads[name] = ""
            written = _Function(self, python)
            self._names[python] = (name, written.returns)
            returned = TYPES.get(written.returns, "void")
            self.heads[name] = f"static {returned} {name}({written.parameters});"
            self.bodies[name] = f"{written.comment}{self.heads[name][:-1]} {{\n{written.body}}}"
        return self._names[python]

    def text(self) -> str:
        """Return all functions as C; prototypes come first, so callers and callees may follow in any order."""
        return "\n".join(self.parts())

    def parts(self) -> list[str]:
        """Return the same in parts, none of which is longer than a function or all prototypes."""
        return [HELPERS, "\n".join(self.heads.values()), "", *self.bodies.values()]


def qualified(python: FunctionType) -> str:
    """Return "file.function"."""
    return f"{python.__module__.rpartition('.')[2]}.{python.__name__}"


class _Function:
    """The translation of one function."""

    def __init__(self, to_c: ToC, python: FunctionType) -> None:
        self._to_c, self._python = to_c, python
        tree = ast.parse(textwrap.dedent(inspect.getsource(python))).body[0]
        assert isinstance(tree, ast.FunctionDef), python
        names = [argument.arg for argument in tree.args.args]
        self._paths: dict[str, tuple[str, ...]] = {"w": ()}
        self._kinds = {name: "int" for name in names if name != "w"}
        self.parameters = ", ".join(f"I64 v_{name}" for name in self._kinds) or "void"
        self.returns = ""
        doc = ast.get_docstring(tree)
        self.comment = f"/* {doc.splitlines()[0].replace('*/', '* /')} */\n" if doc else ""
        arguments = set(self._kinds)
        lines = self._block(tree.body, 1)[0]
        local = [f"  {TYPES[kind]} v_{name} = 0;" for name, kind in self._kinds.items() if name not in arguments]
        self.body = "\n".join([*local, *lines, ""])

    def _refuse(self, node: ast.AST, what: str) -> NotInC:
        line = self._python.__code__.co_firstlineno + getattr(node, "lineno", 1) - 1
        return NotInC(f"{self._python.__module__}.{self._python.__name__}, line {line}: {what}")

    # --- statements -------------------------------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt], depth: int) -> tuple[list[str], bool]:
        """Return the lines of a block, and whether control never reaches its end."""
        lines: list[str] = []
        for statement in body:
            rendered, left = self._statement(statement, depth)
            lines += rendered
            if left:
                return lines, True
        return lines, False

    def _statement(self, node: ast.stmt, depth: int) -> tuple[list[str], bool]:
        pad = "  " * depth
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Pass() | ast.Assert():
                return [], False
            case ast.Expr(value=ast.Call() as call):
                rendered = self._call(call)
                return [f"{pad}{rendered.text};"] if rendered.text.endswith(")") else [], False
            case ast.Return(value=value):
                if value is None:
                    return [f"{pad}return;"], True
                result = self._value(value)
                self.returns = result.kind if self.returns in ("", result.kind) else self._joined(node, result.kind)
                return [f"{pad}return {result.text};"], True
            case ast.Assign(targets=[target], value=value):
                return self._assign(target, value, pad), False
            case ast.AnnAssign(target=target, value=value) if value is not None:
                return self._assign(target, value, pad), False
            case ast.AugAssign(target=target, op=op, value=value) if type(op) in _BINARY:
                place, operand = self._place(target), self._value(value)
                return [f"{pad}{place} {_BINARY[type(op)]}= {operand.text};"], False
            case ast.If(test=test, body=body, orelse=orelse):
                return self._if(test, body, orelse, depth)
            case ast.While(test=test, body=body, orelse=[]):
                return [f"{pad}while ({self._truth(test)}) {{", *self._block(body, depth + 1)[0], f"{pad}}}"], False
            case ast.For(target=ast.Name(id=name), iter=ast.Call() as call, body=body, orelse=[]):
                return self._for(name, call, body, depth), False
            case ast.Break():
                return [f"{pad}break;"], True
            case ast.Continue():
                return [f"{pad}continue;"], True
        raise self._refuse(node, f"statement {type(node).__name__} is not supported")

    def _joined(self, node: ast.AST, kind: str) -> str:
        if "word" in (self.returns, kind):
            raise self._refuse(node, "returns both signed numbers and unsigned words")
        return "int"

    def _if(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt], depth: int) -> tuple[list[str], bool]:
        known = self._known(test)
        if known is not None:
            return self._block(body if known else orelse, depth)
        pad = "  " * depth
        condition = self._truth(test)
        then, left = self._block(body, depth + 1)
        lines = [f"{pad}if ({condition}) {{", *then]
        other, other_left = self._block(orelse, depth + 1)
        if other:
            lines += [f"{pad}}} else {{", *other]
        return [*lines, f"{pad}}}"], left and other_left and bool(orelse)

    def _for(self, name: str, call: ast.Call, body: list[ast.stmt], depth: int) -> list[str]:
        if not (isinstance(call.func, ast.Name) and call.func.id == "range" and 1 <= len(call.args) <= 2):
            raise self._refuse(call, "a for loop must run over range(n) or range(a, b)")
        bounds = [self._value(argument).text for argument in call.args]
        first, end = (["0", *bounds])[-2:]
        self._local(call, name, "int")
        pad, i = "  " * depth, f"v_{name}"
        head = f"{pad}for (I64 i_{name} = {first}, n_{name} = {end}; i_{name} < n_{name}; i_{name}++) {{"
        return [head, f"{pad}  {i} = i_{name};", *self._block(body, depth + 1)[0], f"{pad}}}"]

    def _assign(self, target: ast.expr, value: ast.expr, pad: str) -> list[str]:
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple):
            if not isinstance(value, ast.Tuple) or len(value.elts) != len(target.elts):
                raise self._refuse(value, "an assignment to several targets needs as many values")
            pairs = list(zip(target.elts, value.elts, strict=True))
        stores: list[tuple[ast.expr, Told]] = []
        for one, given in pairs:
            path = self._path(given)
            if isinstance(one, ast.Name) and path is not None and path[:1] != ("rules",):
                self._paths[one.id] = path
            else:
                stores.append((one, self._value(given)))
        if len(stores) == 1:
            return [f"{pad}{self._place(stores[0][0], stores[0][1].kind)} = {stores[0][1].text};"]
        # evaluate all values before storing any
        early = [f"{pad}  {TYPES[t.kind]} t{i} = {t.text};" for i, (_, t) in enumerate(stores)]
        late = [f"{pad}  {self._place(one, t.kind)} = t{i};" for i, (one, t) in enumerate(stores)]
        return [f"{pad}{{", *early, *late, f"{pad}}}"] if stores else []

    def _local(self, node: ast.AST, name: str, kind: str) -> str:
        kind = "word" if kind == "word" else "int"
        if self._kinds.setdefault(name, kind) != kind:
            raise self._refuse(node, f"{name} is both a signed number and an unsigned word")
        return f"v_{name}"

    def _place(self, target: ast.expr, kind: str = "int") -> str:
        if isinstance(target, ast.Name):
            return self._local(target, target.id, kind)
        if isinstance(target, ast.Subscript):
            return self._element(target, True)
        raise self._refuse(target, "only locals and columns can be assigned")

    # --- values -----------------------------------------------------------------------------------------------------

    def _path(self, node: ast.expr) -> tuple[str, ...] | None:
        """Return the attribute path from the World to this node: () for the World itself; None for anything else."""
        if isinstance(node, ast.Name):
            return self._paths.get(node.id)
        if isinstance(node, ast.Attribute):
            before = self._path(node.value)
            return None if before is None else (*before, node.attr)
        return None

    def _element(self, node: ast.Subscript, stored: bool) -> str:
        path = self._path(node.value)
        if path == ("clock",):
            place = self._known(node.slice)
            if place is None:
                raise self._refuse(node, "an index into the clock must be a constant")
            return self._to_c.element("", "clock", str(place), stored)
        if path is None or len(path) != 2:
            raise self._refuse(node, "only columns of the World can be indexed")
        return self._to_c.element(path[0], path[1], self._value(node.slice).text, stored)

    def _global(self, node: ast.expr) -> Any:
        """Return the object that a global name or a module attribute refers to; None for other nodes."""
        if isinstance(node, ast.Name) and node.id not in self._kinds:
            return self._python.__globals__.get(node.id, getattr(builtins, node.id, None))
        if isinstance(node, ast.Attribute):
            module = self._global(node.value)
            if isinstance(module, ModuleType):
                return getattr(module, node.attr, None)
        return None

    def _known(self, node: ast.expr) -> int | None:
        """Return the constant value of an expression; None if it is not constant."""
        match node:
            case ast.Constant(value=int(value)):
                return int(value)
            case ast.Attribute() if (self._path(node) or ("",))[0] == "rules":
                return int(self._to_c.rules[node.attr])
            case ast.Name(id=name):
                found = self._global(node)
                if isinstance(found, int):
                    self._to_c.globals.add((name, int(found)))
                    return int(found)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                known = self._known(operand)
                return None if known is None else int(not known)
            case ast.BoolOp(op=op, values=values):
                decides = isinstance(op, ast.Or)
                every = [self._known(value) for value in values]
                if any(known is not None and bool(known) is decides for known in every):
                    return int(decides)
                return None if None in every else int(not decides)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
                a, b = self._known(left), self._known(right)
                return None if a is None or b is None else int(eval(f"{a} {_COMPARED[type(op)]} {b}"))
        return None

    def _truth(self, node: ast.expr) -> str:
        """Return the C text of a condition; only zero or nonzero matters."""
        known = self._known(node)
        if known is not None:
            return str(int(bool(known)))
        if isinstance(node, ast.BoolOp):
            sign = " && " if isinstance(node.op, ast.And) else " || "
            return "(" + sign.join(self._truth(v) for v in node.values if self._known(v) is None) + ")"
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return f"!{self._truth(node.operand)}"
        return self._value(node).text

    def _value(self, node: ast.expr) -> Told:
        known = self._known(node)
        if known is not None:
            return Told(f"({known}LL)" if known < 0 else f"{known}LL", "int")
        match node:
            case ast.Name(id=name) if name in self._kinds:
                return Told(f"v_{name}", self._kinds[name])
            case ast.Name() | ast.Attribute():
                found = self._global(node)
                if isinstance(found, np.unsignedinteger):
                    return Told(f"{int(found)}ULL", "word")
                if isinstance(found, int | np.integer):
                    return Told(f"({int(found)}LL)", "int")
            case ast.Subscript():
                return self._read(node)
            case ast.Call():
                return self._call(node)
            case ast.UnaryOp(op=ast.Not()):
                return Told(self._truth(node), "bool")
            case ast.UnaryOp(op=ast.USub() | ast.Invert() as op, operand=operand):
                inner = self._value(operand)
                return Told(f"({'-' if isinstance(op, ast.USub) else '~'}{inner.text})", _number(inner.kind))
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(node, self._value(left), op, self._value(right))
            case ast.BoolOp():
                if any(self._value(value).kind != "bool" for value in node.values if self._known(value) is None):
                    raise self._refuse(node, "and, or as values: booleans only")
                return Told(self._truth(node), "bool")
            case ast.Compare():
                return Told(self._compared(node), "bool")
            case ast.IfExp(test=test, body=body, orelse=orelse):
                decided = self._known(test)
                if decided is not None:
                    return self._value(body if decided else orelse)
                one, other = self._value(body), self._value(orelse)
                if "word" in (one.kind, other.kind) and one.kind != other.kind:
                    raise self._refuse(node, "mixes a signed number and an unsigned word")
                return Told(f"({self._truth(test)} ? {one.text} : {other.text})", one.kind)
        raise self._refuse(node, f"expression {ast.unparse(node)[:60]!r} is not supported")

    def _read(self, node: ast.Subscript) -> Told:
        path = self._path(node.value) or ("", "")
        place = self._element(node, False)
        from engine.schema import element_types
        from engine.world.state import GROUPS

        word = len(path) == 2 and element_types(GROUPS[path[0]])[path[1]] == "U64"
        return Told(place, "word") if word else Told(f"(I64){place}", "int")

    def _binary(self, node: ast.expr, left: Told, op: ast.operator, right: Told) -> Told:
        kind = "word" if "word" in (left.kind, right.kind) else "int"
        if type(op) in _DIVIDED and kind == "int":
            return Told(f"{_DIVIDED[type(op)]}({left.text}, {right.text})", kind)
        if type(op) not in _BINARY:
            raise self._refuse(node, f"operator {type(op).__name__} is not supported")
        return Told(f"({left.text} {_BINARY[type(op)]} {right.text})", kind)

    def _compared(self, node: ast.Compare) -> str:
        parts, left = [], node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.Tuple):
                same = [f"{self._value(left).text} == {self._value(one).text}" for one in right.elts]
                parts.append(f"{'!' if isinstance(op, ast.NotIn) else ''}({' || '.join(same)})")
            elif type(op) in _COMPARED:
                parts.append(f"({self._value(left).text} {_COMPARED[type(op)]} {self._value(right).text})")
            else:
                raise self._refuse(node, f"operator {type(op).__name__} is not supported")
            left = right
        if len(parts) > 1 and any(isinstance(inner, ast.Call) for inner in ast.walk(node)):
            raise self._refuse(node, "a call in a chained comparison")
        return parts[0] if len(parts) == 1 else f"({' && '.join(parts)})"

    def _call(self, node: ast.Call) -> Told:
        function = self._global(node.func)
        if node.keywords or function is None:
            raise self._refuse(node, f"cannot call {ast.unparse(node.func)!r}")
        if function in (int, bool, np.int64, np.uint64):
            inner = self._truth(node.args[0]) if function is bool else self._value(node.args[0]).text
            kind = {bool: "bool", np.uint64: "word"}.get(function, "int")
            return Told(f"(({TYPES[kind]}){'!!' if function is bool else ''}({inner}))", kind)
        if function in (min, max) and len(node.args) == 2:
            one, other = (self._value(argument).text for argument in node.args)
            return Told(f"({one} {_MINMAX[function.__name__]} {other} ? {one} : {other})", "int")
        if (name := getattr(function, "verb", None)) is not None:
            function = self._to_c.verb(name)
            if isinstance(function, int):
                return Told(f"{function}LL", "int")
        python = getattr(function, "py_func", function)
        if not isinstance(python, FunctionType):
            raise self._refuse(node, f"cannot call {ast.unparse(node.func)!r}")
        instead = self._to_c.replaced.get(qualified(python))
        if instead is not None:
            given = [self._value(a).text for a in node.args if self._path(a) != ()] if "{" in instead else []
            return Told(instead.format(*given), "int")
        called, kind = self._to_c.call(function)
        given = [self._value(a).text for a in node.args if self._path(a) != ()]
        return Told(f"{called}({', '.join(given)})", kind)


def _number(kind: str) -> str:
    return "int" if kind == "bool" else kind
