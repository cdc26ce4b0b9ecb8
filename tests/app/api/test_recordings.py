"""Uploads: streamed, bounded, read apart, and never left lying about."""

from __future__ import annotations

import gzip
import os
import socket
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.limits import Limits
from app.main import create_app
from app.settings import Settings, load_settings
from app.store import open_store
from app.uploads import recording_name
from engine.recordings.shipped import shipped_recordings
from tests.app.serving import served

V1 = "/api/v1"
TRACE = shipped_recordings()["demo"].trace.read_bytes()
GZIP = {"content-type": "application/gzip"}
BOMB = gzip.compress(gzip.decompress(TRACE)[:20_000].splitlines(keepends=True)[-2] * 300_000)
"""One line, over and over: 20 MiB and more, packed to less than a 200th."""


def temporary_files() -> set[str]:
    """Open files of this process that have no name any more; pytest has some of its own."""
    folder = Path("/proc/self/fd")
    return {
        target
        for fd in folder.iterdir()
        if (target := _target(fd)).startswith("/tmp/") and target.endswith("(deleted)")
    }


def _target(fd: Path) -> str:
    try:
        return os.readlink(fd)
    except OSError:
        return ""


def test_given_a_recording_when_uploaded_either_way_then_it_is_one_and_the_report_is_told(client: TestClient) -> None:
    before = temporary_files()
    raw = client.post(f"{V1}/recordings?name=the+demo", content=TRACE, headers=GZIP)
    form = client.post(f"{V1}/recordings", files={"file": ("again.gz", TRACE)})
    assert raw.status_code == form.status_code == 201, raw.text
    assert raw.json() == form.json()
    assert raw.headers["location"] == f"{V1}/recordings/{raw.json()['id']}"
    assert raw.json()["report"]["bad_lines"] == 0
    assert raw.json()["report"]["used"]
    assert client.get(raw.headers["location"]).json() == raw.json()
    assert raw.json() in client.get(f"{V1}/recordings").json()["recordings"]
    assert temporary_files() <= before


def test_given_an_upload_when_it_is_no_recording_then_it_is_415_and_nothing_is_stored(client: TestClient) -> None:
    before, files = client.get(f"{V1}/recordings").json(), temporary_files()
    for body in (b"\x89PNG\r\n\x1a\n" + bytes(200), os.urandom(2_000), "text in UTF-16".encode("utf-16")):
        answer = client.post(f"{V1}/recordings", files={"file": ("x", body)})
        assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json"), answer.text
    assert client.get(f"{V1}/recordings").json() == before
    assert temporary_files() <= files


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 422), (gzip.compress(b"# tracer: nop\n"), 422), (TRACE[:-20], 422), (BOMB, 413)],
    ids=["empty", "header only", "cut archive", "bomb"],
)
def test_given_an_upload_when_it_is_damaged_then_it_is_refused(client: TestClient, body: bytes, status: int) -> None:
    answer = client.post(f"{V1}/recordings", content=body, headers=GZIP)
    assert answer.status_code == status, answer.text
    assert "/tmp" not in answer.text


def test_given_an_upload_when_its_media_type_is_strange_then_it_is_415(client: TestClient) -> None:
    assert client.post(f"{V1}/recordings", content=TRACE, headers={"content-type": "image/png"}).status_code == 415
    assert client.post(f"{V1}/recordings", json={"file": "x"}).status_code == 415


def test_given_a_form_when_it_lacks_the_file_then_it_is_422(client: TestClient) -> None:
    for given in ({"files": {"other": ("x", b"1")}}, {"files": {"file": (None, "text")}}):
        answer = client.post(f"{V1}/recordings", **given)
        assert (answer.status_code, answer.json()["field"]) == (422, "file")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\traces\\a.gz", "a.gz"),
        ("", "recording"),
        ("..", ".."),
        ("a\r\nb\x1b[31m", "a\\u000d\\u000ab\\u001b[31m"),
        ("<img src=x>", "<img src=x>"),
        ("x" * 900, "x" * 197 + "..."),
    ],
)
def test_given_a_file_name_when_kept_then_it_is_one_line_and_no_path(given: str, shown: str) -> None:
    assert recording_name(given) == shown


@pytest.fixture
def tight(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path, ballast_bytes=0)


def test_given_an_upload_over_the_limit_when_sent_then_it_is_413(tight: Settings) -> None:
    with closing(open_store(tight)) as store:
        small = TestClient(create_app(tight, store, Limits(upload_bytes=1_000)), base_url="http://127.0.0.1")
        answer = small.post(f"{V1}/recordings", content=b"x" * 100_000, headers=GZIP)
        assert (answer.status_code, answer.json()["limit"]) == (413, 1_000)


def test_given_as_many_uploads_as_are_read_at_once_when_one_more_comes_then_it_is_429(tight: Settings) -> None:
    with closing(open_store(tight)) as store, served(create_app(tight, store, Limits(uploads=1))) as port:
        first = HTTPConnection("127.0.0.1", port, timeout=60)
        first.putrequest("POST", f"{V1}/recordings")
        first.putheader("Content-Type", "application/gzip")
        first.putheader("Content-Length", str(len(TRACE)))
        first.endheaders(TRACE[:100])
        codes: list[int] = []
        while 429 not in codes:  # until the server has begun to read the first one
            second = HTTPConnection("127.0.0.1", port, timeout=60)
            second.request("POST", f"{V1}/recordings", body=b"no recording", headers=GZIP)
            codes.append(second.getresponse().status)
            second.close()
        assert set(codes) <= {415, 422, 429}
        first.send(TRACE[100:])
        assert first.getresponse().status == 201
        first.close()


def test_given_an_upload_when_its_sender_vanishes_then_its_place_and_its_file_are_free_again(tight: Settings) -> None:
    before = temporary_files()
    with closing(open_store(tight)) as store, served(create_app(tight, store, Limits(uploads=1))) as port:
        gone = socket.create_connection(("127.0.0.1", port))
        head = f"POST {V1}/recordings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/gzip\r\n"
        gone.sendall(head.encode() + b"Content-Length: 1000\r\n\r\nx")
        gone.close()
        status = 429
        while status == 429:
            again = HTTPConnection("127.0.0.1", port, timeout=60)
            again.request("POST", f"{V1}/recordings", body=TRACE, headers=GZIP)
            status = again.getresponse().status
            again.close()
        assert status == 201
        assert temporary_files() <= before
