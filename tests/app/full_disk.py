"""Fill a small disk to its last block, and get out again. Run in a mount namespace: see test_full_disk.py."""

from __future__ import annotations

import os
import sys
from contextlib import closing, suppress
from pathlib import Path

from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import MIB, load_settings
from app.store import Store, open_store
from app.store.work import NewChunk, Progress
from engine.errors import UserError
from engine.runs.w1 import scenario

V1 = "/api/v1"
KNOWN = Progress(1, 0.5, "{}", "[]")
CHUNK_BYTES = 1 << 18


def run_until_full(store: Store) -> str:
    """Append chunks that cannot be compressed as a worker does it, until the disk is full; return the run's id."""
    run, _ = store.start_run(scenario(events=1_000))
    claimed = store.run_jobs.claim("test")
    assert claimed is not None
    number, error = 0, None
    while error is None:
        some = [NewChunk(n, 10 * n, 10, n, n, b"", os.urandom(CHUNK_BYTES)) for n in range(number, number + 4)]
        try:
            store.append(run.id, claimed.attempt, some, [], [], KNOWN)
            store.checkpoint()
        except UserError as found:
            error = found
        number += 4
    assert error.code == "storage_full", error
    store.drop_ballast(half=True)
    store.finish(run.id, claimed.attempt, "failed", reason="disk_full", detail=str(number))
    return run.id


def fill(path: Path) -> None:
    """Take all that is left."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def main(folder: Path) -> None:
    settings = load_settings(data=folder, free_bytes_min=8 * MIB, ballast_bytes=4 * MIB)
    with closing(open_store(settings)) as store:
        client = TestClient(create_app(settings, store), base_url="http://127.0.0.1")

        def health() -> tuple[int, str]:
            answer = client.get("/health")
            return answer.status_code, answer.json()["status"]

        def start() -> int:
            return client.post(f"{V1}/runs", json={"preset": "w1"}).status_code

        assert health() == (200, "ok")
        kept = client.post(f"{V1}/runs", json={"preset": "w1"}).json()["id"]
        store.cancel(kept)

        # Nothing is left but what was set aside: the page says so, reads on, and lets one delete.
        run = run_until_full(store)
        fill(folder / "others")
        assert health() == (503, "degraded"), health()
        assert start() == 507
        assert client.get(f"{V1}/runs/{run}").json()["reason"] == "disk_full"
        assert client.get("/").status_code == 200
        deleted = client.delete(f"{V1}/runs/{run}")
        assert deleted.status_code == 204, deleted.text
        assert client.get(f"{V1}/runs/{run}").status_code == 404
        assert health() == (200, "ok"), os.statvfs(folder)
        assert start() == 201

        # Space that comes from elsewhere is found without a restart, and the reserve is filled again.
        for row in store.runs(10)[0]:
            store.delete(row.id)
        with (folder / "others").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 18 * MIB)
        run_until_full(store)
        assert health() == (503, "degraded")
        assert start() == 507
        (folder / "others").unlink()
        store.tidy()
        assert health() == (200, "ok"), os.statvfs(folder)
        assert start() == 201
        assert (folder / "ballast").stat().st_size == settings.ballast_bytes
        assert store.db.log_bytes <= 16 * MIB
    print("out again")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
