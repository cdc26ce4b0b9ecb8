"""Tables drawn at random: the explorer counts what the plain search counts, whatever the words in them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from engine.explore.plan import Plan
from tests.explore import plain
from tests.explore.test_explorer import COUNTS, ERRORS, explored, outcomes

LABELS = "stuv"
TABLES = 24


class _Drawn:
    """Words of a table over x, y (0 to 2 at first, always small) and the array a of two."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def word(self) -> str:
        return self.draw.choice(["x", "y", "a[0]", "a[1]", "a[x % 2 * (x % 2)]", "0", "1", "2", "-1"])

    def value(self, depth: int = 2) -> str:
        if depth == 0 or self.draw.random() < 0.3:
            return self.word()
        operator = self.draw.choice(["+", "-", "*", "&", "|", "^", "==", "!=", "<", "<=", "&&", "||", ">>"])
        left, right = self.value(depth - 1), self.value(depth - 1)
        if operator == ">>":
            right = self.draw.choice("012")
        made = f"({left} {operator} {right})"
        return self.draw.choice([made, made, made, f"!{made}", f"~{made}", f"-{made}"])

    def effect(self) -> str:
        if self.draw.random() < 0.08:
            return f"assert({self.value()} != {self.draw.choice('012')})"
        target = self.draw.choice(["x", "y", "a[0]", "a[1]", "a[y & 1]"])
        return f"{target} = ({self.value()}) % 3"

    def process(self, number: int) -> dict[str, Any]:
        labels = LABELS[: self.draw.randint(2, 4)]
        steps = []
        for label in labels:
            for _ in range(self.draw.randint(1, 2)):
                guard = "1" if self.draw.random() < 0.8 else self.value()
                do = [self.effect() for _ in range(self.draw.randint(0, 2))]
                steps.append(
                    {
                        "at": label,
                        "guard": guard,
                        "do": do,
                        "to": self.draw.choice([*labels[1:], *labels[1:], labels[0], "-"]),
                    }
                )
        return {"name": f"p{number}", "start": labels[0], "steps": steps}

    def table(self) -> dict[str, Any]:
        procs = [self.process(n) for n in range(self.draw.randint(2, 3))]
        if self.draw.random() < 0.4:
            procs.append({**procs[0], "name": "twin"})
        first = [self.draw.randint(0, 2) for _ in range(4)]
        return {
            "format": "protocol-table/1",
            "name": "drawn",
            "vars": {"x": first[0], "y": first[1], "a": first[2:]},
            "procs": procs,
            "final": self.value(),
            "outcomes": ["x", "y"],
        }


@pytest.mark.parametrize("seed", range(TABLES))
def test_given_a_table_drawn_at_random_when_explored_then_all_counts_are_those_of_the_plain_search(seed: int) -> None:
    told = _Drawn(seed).table()
    found, true = explored(told), plain.explore(told)
    assert {key: found[key] for key in COUNTS} == {key: getattr(true, key) for key in COUNTS}, told
    assert outcomes(found) == true.outcomes
    assert (found["shortest_error"], found["schedules"]) == (true.shortest_error, true.schedules)
    if true.traces is not None:
        assert found["traces"] == true.traces
    wanted = {key: getattr(true, key) > 0 for key in ERRORS}
    plans: list[Plan] = [Plan(reduction="por"), Plan(reduction="symmetry"), Plan(reduction="all"), Plan(search="dfs")]
    for plan in [*plans, Plan(compact=True)]:
        again = explored(told, plan)
        assert {key: again[key] > 0 for key in ERRORS} == wanted, (plan, told)
        assert set(outcomes(again)) == set(true.outcomes), (plan, told)
        assert again["states"] <= true.states
