"""The house: locks, vendored files, the image, the wheel, and that the sources name no other machine."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock")
BIN = Path(sys.executable).parent


def pins(lock: str) -> dict[str, set[Version]]:
    """Return what the lock pins: name -> versions (several where they differ by Python)."""
    found: dict[str, set[Version]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if match := re.match(r"([\w.-]+)==([^ ;\\]+)", line):
            found.setdefault(canonicalize_name(match[1]), set()).add(Version(match[2]))
    return found


def asked(*groups: str) -> list[Requirement]:
    """Return the dependencies of pyproject.toml: the product's own for "", else those of the group."""
    words: list[str] = []
    for group in groups:
        words += PROJECT["dependency-groups"][group] if group else PROJECT["project"]["dependencies"]
    return [Requirement(word) for word in words]


@cache
def tracked() -> list[Path]:
    """Return the files of the project, as git lists them: tracked ones and new ones that are not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    """Return the text files that were written here: not the vendored ones, no recordings."""
    found = []
    for path in tracked():
        if "vendor" in path.parts or path.suffix in {".gz", ".zst", ".png"}:
            continue
        try:
            found.append((path.relative_to(ROOT), path.read_text()))
        except UnicodeDecodeError:
            continue
    return found


# --- locks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS)
def test_given_a_lock_when_read_then_every_pin_has_a_hash_and_no_line_an_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 5
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    ("lock", "groups"),
    [(LOCKS[0], ("", "build")), (LOCKS[1], ("", "build", "dev")), (LOCKS[2], ("bench",))],
)
def test_given_pyproject_when_compared_with_its_lock_then_each_dependency_is_pinned_in_bounds(
    lock: str, groups: tuple[str, ...]
) -> None:
    pinned = pins(lock)
    for need in asked(*groups):
        versions = pinned.get(canonicalize_name(need.name), set())
        assert versions, f"{need.name} is not in {lock}: make lock"
        assert all(version in need.specifier for version in versions), f"{need} against {versions}: make lock"


def test_given_the_two_locks_when_compared_then_tests_run_on_the_versions_that_users_get() -> None:
    product, tests = pins(LOCKS[0]), pins(LOCKS[1])
    assert {name: tests.get(name) for name in product} == product


IMPORTED_AS = {"backports-zstd": "backports"}
PARTS = {
    "starlette": "fastapi",
    "anyio": "fastapi",
    "pydantic_core": "pydantic",
    "llvmlite": "numba",
    "compression": "backports",
}
"""Imported package -> the declared one that it comes with, in a version that fits (compression: Python 3.14's own)."""
LOADED_BY_OTHERS = {"httptools", "uvloop", "python-multipart", "jinja2", "fastapi-offline"}
"""uvicorn and starlette load the first four; of the last one only files are served."""


def third_party(tops: tuple[str, ...]) -> set[str]:
    """Return the top-level packages that the sources below these folders import, less Python's own and ours."""
    names: set[str] = set()
    for top in tops:
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"app", "engine", "benchmarks", "tests"}


def test_given_the_sources_when_their_imports_are_listed_then_they_are_the_declared_dependencies() -> None:
    declared = {canonicalize_name(need.name) for need in asked("")}
    names = {IMPORTED_AS.get(name, name.replace("-", "_")): name for name in declared}
    imported = {PARTS.get(name, name) for name in third_party(("app", "engine", "migrations"))}
    assert imported - set(names) == set(), "imported, but not in pyproject.toml"
    assert {names[name] for name in set(names) - imported} - LOADED_BY_OTHERS == set(), "declared, but never imported"


# --- what was made elsewhere ---------------------------------------------------------------------------------------


def test_given_the_vendored_files_when_hashed_then_they_are_what_the_list_says() -> None:
    folder = ROOT / "static" / "vendor"
    rows = [line.split() for line in (folder / "vendored.txt").read_text().splitlines() if not line.startswith("#")]
    assert {row[3] for row in rows} == {path.name for path in folder.glob("*.js")}
    for package, version, digest, name in rows:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, f"{package} {version} {name}"
    assert sorted(path.name for path in folder.glob("LICENSE.*")) == ["LICENSE.htmx", "LICENSE.plotly"]


# --- image and wheel ------------------------------------------------------------------------------------------------


def test_given_the_dockerfile_when_linted_then_hadolint_finds_nothing() -> None:
    done = subprocess.run([BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_given_the_compose_file_when_checked_then_it_fits_the_specification() -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_given_the_dockerfile_when_read_then_it_copies_only_what_exists_and_does_not_run_as_root() -> None:
    text = (ROOT / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M) for word in line.split()[:-1]]
    assert "app" in copied
    assert [word for word in copied if not (ROOT / word).exists()] == []
    assert re.findall(r"^USER (\S+)$", text, re.M) == ["10001:10001"]


def test_given_a_wheel_when_built_then_it_holds_pages_migrations_recordings_and_verdicts(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("folioscope-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        r"app/_data/static/vendor/htmx\.min\.js",
        r"app/_data/templates/\w+\.html",
        r"app/_data/migrations/versions/\w+\.py",
        r"engine/recordings/demo\.truth\.csv\.gz",
        r"engine/recordings/shipped\.toml",
        r"engine/explore/release/6\.1\.json\.gz",
        r"engine/kernel_functions/functions\.toml",
        r"engine/designs/wait/\w+/about\.toml",
        r"engine/scenarios/\w+\.toml",
        r"app/cli\.py",
    ):
        assert any(re.fullmatch(wanted, name) for name in names), wanted
    assert [name for name in names if name.startswith(("tests/", "benchmarks/")) or "__pycache__" in name] == []


# --- one version, no other machine ---------------------------------------------------------------------------------


def test_given_the_version_when_looked_up_then_it_is_the_same_everywhere() -> None:
    version = PROJECT["project"]["version"]
    program = "import engine; print(engine.VERSION)"
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    images = re.findall(r"image: folioscope:(\S+)", (ROOT / "docker-compose.yml").read_text())
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None
    assert (said.strip(), set(images), newest[1]) == (version, {version}, version)


HERE = re.compile(
    r"(127\.0\.0\.1|localhost|\[::1\]|0\.0\.0\.0|testserver|[\w.-]*\.(example|test|invalid)|example\.(com|org|net))\b"
)
NAMES_ONLY = ("www.w3.org/", "json-schema.org/")
"""Namespaces: names in the form of addresses, which nothing fetches."""


def test_given_all_texts_when_searched_for_addresses_then_they_name_this_machine_only() -> None:
    found = []
    for path, text in texts():
        for match in re.finditer(r"\b(?:https?|wss?|ftp|git)://([^\s\"'`<>)]+)", text):
            if not HERE.match(match[1]) and not match[1].startswith(NAMES_ONLY) and "{" not in match[1][:2]:
                found.append(f"{path}: {match[0]}")
    assert found == []


def test_given_all_texts_when_searched_then_no_home_of_a_person_and_no_open_ends_are_in_them() -> None:
    marks = re.compile(r"/home/\w|/Users/\w|\b" + "TO" + "DO" + r"\b|\b" + "FIX" + "ME" + r"\b")
    assert [f"{path}: {match[0]}" for path, text in texts() for match in [marks.search(text)] if match] == []


def test_given_the_integration_script_when_read_then_it_calls_make_test_and_can_be_run() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o100
    assert "make test" in script.read_text()
