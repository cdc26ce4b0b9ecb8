"""The line of each key in a JSON or TOML text: json and tomllib do not report positions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Path = tuple[str | int, ...]
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|\n|[\[\]{},=:]|[^\s\[\]{},=:#"\']+',
    re.DOTALL,
)


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """Return the line, from 1, of the value at a path, or of the nearest enclosing one found; None if there is none.

    path: keys and list indices. text: valid JSON or TOML; for other text the result is any line or None.
    """
    return nearest_line(lines_of(text), path)


def lines_of(text: str) -> Mapping[Path, int]:
    """Return the line of every key and item of a text, for several questions about it."""
    return _Lines(text).found


def nearest_line(found: Mapping[Path, int], path: Sequence[str | int]) -> int | None:
    """Return the line of a path, or of the nearest enclosing one that was found; None if there is none."""
    whole = tuple(path)
    return next((found[whole[:n]] for n in range(len(whole), 0, -1) if whole[:n] in found), None)


class _Lines:
    """found: path -> line."""

    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {}
        self._tokens: list[tuple[str, int]] = []
        line = 1
        for match in _TOKEN.finditer(text):
            token = match[0]
            if not token.startswith("#"):
                self._tokens.append((token, line))
            line += token.count("\n")
        self._at = 0
        self._lists: dict[Path, int] = {}  # TOML: [[a]] -> the last index
        try:
            self._value(()) if text.lstrip()[:1] == "{" else self._document()
        except (IndexError, RecursionError):
            return

    def _skip(self) -> None:
        while self._at < len(self._tokens) and self._tokens[self._at][0] in {"\n", ","}:
            self._at += 1

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][0]

    def _value(self, path: Path) -> None:
        self._skip()
        token, line = self._tokens[self._at]
        self.found.setdefault(path, line)
        self._at += 1
        if token not in {"{", "["}:
            return
        place = 0
        while True:
            self._skip()
            if self._tokens[self._at][0] in {"}", "]"}:
                self._at += 1
                return
            if token == "[":
                self._value((*path, place))
                place += 1
            else:
                self._pair(path)

    def _pair(self, path: Path) -> None:
        line = self._tokens[self._at][1]
        key = path + self._keys({"=", ":"})
        self.found.setdefault(key, line)
        self._value(key)

    def _keys(self, ends: set[str]) -> Path:
        """Return the keys before one of these tokens, and consume that token: a.b is two keys, "a.b" is one."""
        keys: list[str] = []
        while (token := self._take()) not in ends:
            keys += [token[1:-1]] if token[0] in "\"'" else [part for part in token.split(".") if part]
        return tuple(keys)

    def _document(self) -> None:
        """Read TOML: headers and pairs."""
        here: Path = ()
        while True:
            self._skip()
            if self._at >= len(self._tokens):
                return
            token, line = self._tokens[self._at]
            if token != "[":
                self._pair(here)
                continue
            self._at += 1
            many = self._tokens[self._at][0] == "["
            self._at += many
            here = self._header(self._keys({"]"}), many=many)
            self._at += many
            self.found.setdefault(here, line)

    def _header(self, keys: Path, *, many: bool) -> Path:
        path: Path = ()
        for number, key in enumerate(keys):
            path += (key,)
            if many and number == len(keys) - 1:
                self._lists[path] = self._lists.get(path, -1) + 1
            if path in self._lists:
                path += (self._lists[path],)
        return path
