"""A disk that is full: said, survived, and left behind without a restart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def may_mount() -> bool:
    """Return whether this machine lets us mount in a namespace of our own."""
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(
            [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
        ).returncode
    )


@pytest.mark.skipif(not may_mount(), reason="no file system of a few MiB can be mounted here")
def test_given_a_full_disk_then_it_is_said_one_can_delete_and_runs_start_again(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=40m tmpfs "$1" && exec "$2" -m tests.app.full_disk "$1"'
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", script, "sh", str(tmp_path), sys.executable],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "out again\n", done.stderr
