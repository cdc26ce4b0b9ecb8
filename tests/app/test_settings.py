"""The environment becomes settings, or one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import load_settings
from engine.errors import UserError


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.upper().startswith("FOLIOSCOPE_")]:
        monkeypatch.delenv(name)


def test_given_no_variable_then_data_lie_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert load_settings().url == "sqlite:////somewhere/folioscope/folioscope.db"


def test_given_a_data_folder_then_the_database_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLIOSCOPE_DATA", "/elsewhere")
    assert load_settings().data == Path("/elsewhere")
    assert load_settings().url == "sqlite:////elsewhere/folioscope.db"


def test_a_list_is_words_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLIOSCOPE_HOSTS", "a.example, b.example,")
    assert load_settings().hosts == ["a.example", "b.example"]


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLIOSCOPE_PORT", "1000")
    assert load_settings(port=0).port == 0


@pytest.mark.parametrize(
    ("name", "value", "code", "text"),
    [
        ("FOLIOSCOPE_PORTS", "1", "unknown_setting", "did you mean FOLIOSCOPE_PORT?"),
        ("FOLIOSCOPE_XYZZY", "1", "unknown_setting", "unset it"),
        ("folioscope_prot", "1", "unknown_setting", "FOLIOSCOPE_PORT"),
        ("FOLIOSCOPE_PORT", "http", "bad_setting", "FOLIOSCOPE_PORT"),
        ("FOLIOSCOPE_PORT", "65536", "bad_setting", "65535"),
        ("FOLIOSCOPE_DATABASE_URL", "postgresql://db/runs", "bad_setting", "sqlite:///"),
    ],
)
def test_a_variable_that_does_not_fit_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: str, text: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as refused:
        load_settings()
    assert refused.value.code == code
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
