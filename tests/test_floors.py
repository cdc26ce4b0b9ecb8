"""Who may import whom: the imports in the sources against the floors table of ARCHITECTURE.md, and what gets loaded."""

from __future__ import annotations

import ast
import fnmatch
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("app", "engine", "migrations")


@dataclass(frozen=True)
class Floor:
    """A row of the table: its modules and what they may import, both as patterns of dotted names."""

    name: str
    modules: tuple[str, ...]
    may: tuple[str, ...]


def quoted(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


def floors() -> list[Floor]:
    """Return the rows of ARCHITECTURE.md's table of floors, lowest first."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    table = text.split("| floor | modules | may import |")[1].split("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|") and "---" not in line]
    return [Floor(name.strip(), quoted(modules), quoted(may)) for name, modules, may in rows]


FLOORS = floors()


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for top in OURS for path in sorted((ROOT / top).rglob("*.py"))}


def floor_of(module: str) -> Floor | None:
    """Return the floor whose pattern fits the module most closely (the longest one)."""
    fits = [(len(p), floor) for floor in FLOORS for p in floor.modules if fnmatch.fnmatchcase(module, p)]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything that the file imports, wherever in it; `from a import b` gives a.b
    where that is a module of ours."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield node.lineno, full if full in SOURCES else str(node.module)


def allowed(floor: Floor, name: str) -> bool:
    """Tell whether the floor may import the module: the standard library, or what its row or a row it names lists."""
    if name.split(".")[0] in sys.stdlib_module_names:
        return True
    target = floor_of(name) if name in SOURCES else None
    for word in floor.may:
        if target is not None and word == target.name:
            return True
        if name == word or name.startswith(word + ".") or fnmatch.fnmatchcase(name, word):
            return True
    return False


def test_the_table_has_floors_and_each_has_modules() -> None:
    assert len(FLOORS) >= 6
    for floor in FLOORS:
        assert any(fnmatch.fnmatchcase(m, pattern) for m in SOURCES for pattern in floor.modules), floor.name


@pytest.mark.parametrize("module", SOURCES)
def test_each_module_stands_on_a_floor_and_imports_only_what_it_may(module: str) -> None:
    floor = floor_of(module)
    assert floor is not None, f"{module} is on no floor: add it to the table in ARCHITECTURE.md"
    wrong = [f"line {line}: {name}" for line, name in imports(SOURCES[module]) if not allowed(floor, name)]
    assert not wrong, f"{module} (floor {floor.name}) imports " + ", ".join(wrong)


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle, the first again at the end; [] if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as found:
        names: list[str] = found.args[1]
        return names
    return []


def test_given_all_imports_when_followed_then_none_leads_back() -> None:
    graph = {name: {to for _, to in imports(path) if to in SOURCES} - {name} for name, path in SOURCES.items()}
    assert circle(graph) == []


def test_given_modules_that_import_each_other_when_followed_then_the_circle_is_named() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


def test_given_a_forbidden_import_when_judged_then_it_is_refused() -> None:
    paper, web = floor_of("engine.events"), floor_of("app.main")
    assert paper is not None
    assert web is not None
    assert not allowed(paper, "numba")
    assert not allowed(paper, "app.settings")
    assert not allowed(web, "sqlalchemy.orm")
    assert not allowed(web, "engine.runs.play")


COMPILED = frozenset(name for floor in FLOORS for name in SOURCES if "numba" in floor.may and floor_of(name) is floor)


def loaded_after(modules: list[str]) -> set[str]:
    """Return the names of all modules that a fresh process has after importing these."""
    program = "import importlib, sys\nfor m in sys.argv[1:]: importlib.import_module(m)\nprint(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program, *modules], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_given_all_of_the_paper_half_when_imported_then_numba_and_the_web_are_not_loaded() -> None:
    paper = [name for name in SOURCES if name.startswith("engine") and (floor_of(name) or FLOORS[0]).name == "paper"]
    assert "engine.events" in paper
    assert not {"numba", "llvmlite", "fastapi", "sqlalchemy"} & loaded_after(paper)


def test_given_all_that_the_server_may_load_when_imported_then_numba_is_not_loaded() -> None:
    served = [name for name in SOURCES if name.startswith("app") and (floor_of(name) or FLOORS[0]).name != "players"]
    assert "app.main" in served
    loaded = loaded_after(served)
    assert "fastapi" in loaded
    assert not {"numba", "llvmlite"} & loaded
