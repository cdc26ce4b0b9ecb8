"""Another opinion: a protocol table as Promela, searched by SPIN without reduction.

One process does every step of the table, and the position of each process is a global byte, so that no process of
SPIN's own is ever born, moved or ended. A step is one `d_step`, so one transition. Two things are counted in C beside
the state: edges with a failed assertion, and final states with their outcomes. A final state gets one extra transition
to itself, which keeps it from looking like a deadlock and is taken off the transitions again.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

REPORT = re.compile(r"^\s*(\d+) (states, stored|transitions)", re.MULTILINE)
COUNTED = (r"(\d+) states, stored", r"(\d+) transitions", r"errors: (\d+)")
ENDED = "-"
DEPTH_MAX = 1_000_000  # steps; deeper than any table has states


@dataclass(frozen=True)
class SpinCounts:
    """What SPIN counted, in the words of the format."""

    states: int
    edges: int
    deadlock_states: int
    assert_failures: int
    final_states: int
    outcomes: dict[tuple[int, ...], int]

    @classmethod
    def of(cls, counts: Any) -> SpinCounts:
        """Return those of another search's counts that SPIN can tell."""
        return cls(**{field.name: getattr(counts, field.name) for field in fields(cls)})


def renamed(text: str) -> str:
    """Return the expression with each variable under a name that Promela has no other use for. The two languages share
    the signs, their precedence and the decimal numbers; spaces keep apart what Promela would take for one sign."""
    words = re.findall(r"0[xX][0-9a-fA-F]+|\w+|\|\||&&|[=!<>]=|<<|>>|\S", text)
    return " ".join(
        str(int(word, 16)) if word[:2] in ("0x", "0X") else "v_" + word if re.match(r"[A-Za-z_]", word) else word
        for word in words
    )


def effect(text: str) -> str:
    if match := re.fullmatch(r"\s*assert\s*\((.*)\)\s*", text):
        return f"if :: !({renamed(match[1])}) -> c_code {{ broken = 1; }} :: else fi"
    return renamed(text)


def option(guard: str, *effects: str) -> str:
    return f"  :: d_step {{ {guard} -> {'; '.join(effects)} }}"


def promela(table: Mapping[str, Any]) -> str:
    """Return the table as one Promela model."""
    lines = [
        "c_decl {",
        "  static long failures, finals; static int broken;",
        "  static void __attribute__((destructor)) tell(void) {",
        '    printf("failures %ld finals %ld\\n", failures, finals);',
        "  }",
        "}",
    ]
    for name, value in table["vars"].items():
        if isinstance(value, list):
            lines.append(f"int v_{name}[{len(value)}] = {{{', '.join(map(str, value))}}};")
        else:
            lines.append(f"int v_{name} = {value};")
    options = []
    for number, proc in enumerate(table["procs"]):
        labels = {proc["start"], *(step[key] for step in proc["steps"] for key in ("at", "to"))} - {ENDED}
        position = {ENDED: 0, **{label: at for at, label in enumerate(sorted(labels), 1)}}
        lines.append(f"byte pc{number} = {position[proc['start']]};")
        for step in proc["steps"]:
            effects = [effect(text) for text in step.get("do", [])]
            if any(text.startswith("if") for text in effects):
                effects.append("c_code { failures += broken; broken = 0; }")
            effects.append(f"pc{number} = {position[step['to']]}")
            options.append(option(f"pc{number} == {position[step['at']]} && ({renamed(step['guard'])})", *effects))
    shown = table.get("outcomes", [])
    form, words = " ".join(["%d"] * len(shown)), "".join(f", now.v_{name}" for name in shown)
    told = f'c_code {{ finals++; printf("outcome {form}\\n"{words}); }}' if shown else "c_code { finals++; }"
    options.append(option(" && ".join(f"pc{number} == 0" for number in range(len(table["procs"]))), told))
    return "\n".join([*lines, "active proctype table() {", "  do", *options, "  od", "}", ""])


def search(table: Mapping[str, Any], folder: Path, optimize: str = "-O2") -> SpinCounts:
    """Search the table with SPIN and the C compiler in an empty folder. `optimize` is the compiler's flag."""

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    (folder / "table.pml").write_text(promela(table))
    run("spin", "-a", "table.pml")
    run("gcc", optimize, "-w", "-DNOREDUCE", "-DSAFETY", "-DMEMLIM=2048", "-o", "pan", "pan.c")
    told = run("./pan", "-c0", "-n", f"-m{DEPTH_MAX}", "-w20")
    if "max search depth too small" in told or "Search not completed" in told or "invalid array index" in told:
        raise RuntimeError(told)
    number = {match[2]: int(match[1]) for match in REPORT.finditer(told)}
    failures, finals = map(int, re.findall(r"^failures (\d+) finals (\d+)$", told, re.MULTILINE)[0])
    seen = Counter(tuple(map(int, line.split())) for line in re.findall(r"^outcome (.*)$", told, re.MULTILINE))
    return SpinCounts(
        states=number["states, stored"],
        edges=number["transitions"] - 1 - finals,  # SPIN takes the way into the first state for a transition
        deadlock_states=int(re.findall(r"errors: (\d+)", told)[0]),
        assert_failures=failures,
        final_states=finals,
        outcomes=dict(seen),
    )


def model_counts(
    model: str, folder: Path, *options: str, run: tuple[str, ...] = (), optimize: str = "-O2"
) -> tuple[int, int, int]:
    """Return SPIN's states, transitions and errors of a model, searched whole in an empty folder."""
    (folder / "model.pml").write_text(model)
    asked = re.findall(r"-DVECTORSZ=\d+", model)  # a model tells how long its states are
    for command in (
        ("spin", *options, "-a", "model.pml"),
        ("gcc", optimize, "-w", "-DNOREDUCE", "-DSAFETY", "-DMEMLIM=2048", *asked, "-o", "pan", "pan.c"),
    ):
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    told = subprocess.run(
        ["./pan", "-c0", "-n", f"-m{DEPTH_MAX}", "-w20", *run], cwd=folder, capture_output=True, text=True, check=False
    ).stdout
    assert "max search depth too small" not in told
    assert "Search not completed" not in told
    numbers = [re.search(pattern, told) for pattern in COUNTED]
    states, transitions, errors = (int(number[1]) for number in numbers if number)
    return states, transitions, errors
