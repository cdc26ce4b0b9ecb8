"""Checkpoints: all that a search needs to resume in another process, in one file that is replaced atomically.

    "folioscope exploration 1\\n" | length of the head, 8 bytes | head, JSON | arrays, concatenated | SHA-256

The head identifies the subject, the plan, the program that wrote it and the arrays. Hashes, move numbers and layouts
are internal to the program: another version rejects the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError
from engine.explore.plan import Plan
from engine.explore.search.explorer import Explorer, Kept
from engine.explore.search.subject import Subject
from engine.sources import sources_digest

MAGIC = b"folioscope exploration 1\n"
HEAD_MAX = 1 << 24


def save(explorer: Explorer, path: Path) -> None:
    """Write a checkpoint, replacing any previous one. Raises UserError if it cannot be written."""
    kept, digest = explorer.kept(), hashlib.sha256()
    arrays = {name: np.ascontiguousarray(array) for name, array in kept.arrays.items()}
    head = json.dumps(
        {
            **_identity(explorer.subject, explorer.plan),
            "plain": kept.plain,
            "arrays": [[name, array.dtype.str, array.shape] for name, array in arrays.items()],
        }
    ).encode()
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            for piece in (MAGIC, len(head).to_bytes(8, "little"), head, *(_bytes(array) for array in arrays.values())):
                digest.update(piece)
                file.write(piece)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _bad(f"it cannot be written: {error.strerror}") from None


def resume(path: Path, subject: Subject, plan: Plan) -> Explorer:
    """Return the search in a checkpoint, ready to run. Raises UserError, with the reason, for a file that is damaged
    or belongs to another subject, plan or version of the program."""
    head, arrays = _read(path)
    for name, mine in _identity(subject, plan).items():
        if head.get(name) != mine:
            raise _bad(f"it belongs to another {name}: use the same one, or another file")
    explorer = Explorer(subject, plan)
    explorer.restore(Kept(head["plain"], arrays))
    return explorer


def _identity(subject: Subject, plan: Plan) -> dict[str, Any]:
    digest = hashlib.sha256(subject.asked_json().encode()).hexdigest()
    return {"subject": digest, "plan": list(plan), "version of the program": sources_digest()}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest, left = hashlib.sha256(), size - 32

            def take(length: int) -> bytes:
                nonlocal left
                left -= length
                piece = file.read(length) if left >= 0 else b""
                if len(piece) < length:
                    raise _bad("it is truncated")
                digest.update(piece)
                return piece

            if size < len(MAGIC) + 40 or take(len(MAGIC)) != MAGIC:
                raise _bad("it is not a checkpoint of an exploration")
            length = int.from_bytes(take(8), "little")
            if length > HEAD_MAX:
                raise _bad("it is damaged")
            text = take(length)
            try:
                head = json.loads(text)
                shapes = [(name, np.dtype(kind), tuple(shape)) for name, kind, shape in head["arrays"]]
            except (ValueError, TypeError, KeyError):
                raise _bad("it is damaged") from None
            arrays = {}
            for name, kind, shape in shapes:
                if kind.hasobject or any(not isinstance(n, int) or n < 0 for n in shape):
                    raise _bad("it is damaged")
                wanted = kind.itemsize
                for n in shape:
                    wanted *= n
                arrays[name] = np.frombuffer(take(wanted), kind).reshape(shape)
            if left != 0 or file.read() != digest.digest():
                raise _bad("it is damaged: its checksum does not match")
    except OSError as error:
        raise _bad(f"it cannot be read: {error.strerror}") from None
    return head, arrays


def _bytes(array: NDArray[Any]) -> bytes:
    return memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type, return-value]


def _bad(reason: str) -> UserError:
    return UserError(f"the checkpoint: {reason}", code="bad_checkpoint", field="checkpoint")
