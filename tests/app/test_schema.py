"""Migrations: up, down, up; killed half-way; and the schema they give is the one that the tables describe."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.settings import Settings, load_settings
from app.store import open_store
from app.store.database import APPLICATION_ID, Database
from app.store.folder import REVISIONS
from app.store.schema import config_for, downgrade, upgrade
from app.store.tables import Base
from tests.app.stored import play_log
from tests.app.synthetic import Log


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path, free_bytes_min=0, ballast_bytes=0)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = Database(settings, busy_s=5)
    yield opened
    opened.close()


def tables(settings: Settings) -> set[str]:
    with sqlite3.connect(settings.data / "folioscope.db") as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return found - {"sqlite_sequence"}


def test_given_an_empty_database_when_upgraded_then_it_is_what_the_tables_describe(
    settings: Settings, database: Database
) -> None:
    upgrade(settings)
    with database.readers.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
        assert connection.exec_driver_sql("PRAGMA application_id").scalar() == APPLICATION_ID


def test_the_code_knows_all_revisions_and_no_others(database: Database) -> None:
    script = ScriptDirectory.from_config(config_for(database))
    assert tuple(step.revision for step in script.walk_revisions())[::-1] == REVISIONS
    assert script.get_heads() == [REVISIONS[-1]]


def test_up_down_up_leaves_a_database_that_works(settings: Settings) -> None:
    upgrade(settings)
    downgrade(settings, "base")
    assert tables(settings) == {"alembic_version"}
    upgrade(settings)
    store = open_store(settings)
    run = play_log(store, Log(1, 200), [100])
    assert store.verify(run.id).sound
    store.close()


def test_upgrading_what_is_new_already_changes_nothing(settings: Settings) -> None:
    store = open_store(settings)
    run = play_log(store, Log(1, 500), [100])
    before = store.verify(run.id)
    store.close()
    upgrade(settings)
    store = open_store(settings)
    assert store.verify(run.id) == before
    assert before.sound
    store.close()


DYING = """
import os, signal, sys
from pathlib import Path
from alembic import op
from app.settings import load_settings
from app.store.schema import upgrade
create, left = op.create_table, int(sys.argv[2])
def dying(*args, **more):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return create(*args, **more)
op.create_table = dying
upgrade(load_settings(data=Path(sys.argv[1])))
"""
OPENING = """
import sys
from pathlib import Path
from app.settings import load_settings
from app.store import open_store
open_store(load_settings(data=Path(sys.argv[1]), ballast_bytes=0)).close()
"""
ROOT = Path(__file__).parents[2]


def child(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], cwd=ROOT)


@pytest.mark.parametrize("tables_made", [0, 4, 9])
def test_given_an_upgrade_that_is_killed_then_the_old_schema_is_whole(settings: Settings, tables_made: int) -> None:
    assert child(DYING, settings.data, tables_made).wait(60) == -signal.SIGKILL
    assert tables(settings) == set()
    open_store(settings).close()
    assert {"runs", "chunks", "shares"} <= tables(settings)


def test_several_processes_may_upgrade_at_once(settings: Settings) -> None:
    processes = [child(OPENING, settings.data) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert "runs" in tables(settings)
