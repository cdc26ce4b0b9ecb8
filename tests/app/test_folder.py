"""The data folder: what is no folder of ours is refused and left alone; space is kept for the last writes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from app.store import open_store
from engine.errors import UserError
from tests.app.explored import settings_in


def refusal(folder: Path) -> UserError:
    with pytest.raises(UserError) as refused:
        open_store(settings_in(folder))
    assert "\n" not in str(refused.value)
    return refused.value


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("here")
    assert refusal(tmp_path / "data").code == "bad_data"
    assert refusal(tmp_path / "data" / "deeper").code == "bad_data"


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "folioscope.db").write_text("a diary, " * 200)
    assert refusal(tmp_path).code == "foreign_data"
    assert (tmp_path / "folioscope.db").read_text().startswith("a diary")


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "folioscope.db") as connection:
        connection.execute("CREATE TABLE diary (day)")
    connection.close()
    assert refusal(tmp_path).code == "foreign_data"


def test_a_newer_schema_is_refused_with_the_remedy(tmp_path: Path) -> None:
    open_store(settings_in(tmp_path)).close()
    with sqlite3.connect(tmp_path / "folioscope.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    connection.close()
    error = refusal(tmp_path)
    assert error.code == "newer_schema"
    assert "update folioscope" in str(error)


def test_the_ballast_is_real_space_that_can_be_given_up(tmp_path: Path) -> None:
    store = open_store(settings_in(tmp_path, ballast_bytes=1 << 20))
    ballast = tmp_path / "ballast"
    assert ballast.stat().st_blocks * 512 >= 1 << 20
    store.drop_ballast()
    assert not ballast.exists()
    store.keep_ballast()
    assert ballast.stat().st_size == 1 << 20
    store.close()
