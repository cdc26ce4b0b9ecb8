"""Share links: a token that opens some runs, an exploration or a matrix, read-only, until it expires or is revoked.

What it opens is a list of names: ids of runs, or one x/ID (an exploration) or one matrix/KERNEL.

The token is told once and kept as its SHA-256, by which it is looked up: how long that takes tells nothing of how much
of a guess was right, and who reads the database cannot open a link.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time

from sqlalchemy import Connection, func, insert, select, update

from app.store.database import Database
from app.store.rows import SHARE_COLUMNS, ShareRow
from app.store.tables import Exploration, Run, Share
from engine.errors import UserError

TOKEN_BYTES = 32
RUNS_MAX = 6
TOKEN_CHARACTERS_MAX = 200


class Shares:
    """The part of the store that manages share links."""

    db: Database

    def share(self, names: list[str], view: str, expires_ns: int | None = None) -> tuple[ShareRow, str]:
        """Create a link to runs, an exploration or a matrix, opened at `view`; return it and its token.

        Raises UserError (no_run, no_exploration).
        """
        if not 0 < len(names) <= RUNS_MAX:
            raise UserError(f"a link shares 1 to {RUNS_MAX} runs, not {len(names)}", field="runs")
        token, share_id = secrets.token_urlsafe(TOKEN_BYTES), secrets.token_hex(6)
        values = {
            "id": share_id,
            "token_sha256": _hashed(token),
            "run_ids": json.dumps(names),
            "view": view,
            "created_ns": time.time_ns(),
            "expires_ns": expires_ns,
        }
        with self.db.write() as connection:
            if missing := _missing(connection, names):
                kind, _, name = missing.rpartition("/")
                what, field = ("exploration", "exploration") if kind else ("run", "runs")
                raise UserError(f"there is no {what} {name[:80]}", code=f"no_{what}", field=field, status=404)
            connection.execute(insert(Share).values(**values))
            row = connection.execute(select(*SHARE_COLUMNS).where(Share.id == share_id)).one()
            return ShareRow(*row), token

    def shares(self, name: str) -> list[ShareRow]:
        """Return the links to a run, an exploration or a matrix, newest first, including revoked ones."""
        query = select(*SHARE_COLUMNS).where(Share.run_ids.contains(name, autoescape=True))
        with self.db.read() as connection:
            rows = connection.execute(query.order_by(Share.created_ns.desc(), Share.id)).all()
        return [row for row in (ShareRow(*found) for found in rows) if name in row.names]

    def revoke(self, share_id: str) -> ShareRow:
        """Revoke a link; revoking it twice is not an error. Raises UserError (no_share) if it does not exist."""
        with self.db.write() as connection:
            now = func.coalesce(Share.revoked_ns, time.time_ns())
            connection.execute(update(Share).where(Share.id == share_id).values(revoked_ns=now))
            row = connection.execute(select(*SHARE_COLUMNS).where(Share.id == share_id)).one_or_none()
        if row is None:
            raise UserError("there is no such link", code="no_share", field="share_id", status=404)
        return ShareRow(*row)

    def by_token(self, token: str) -> ShareRow | None:
        """Return the link of a token; None if it is wrong, revoked or expired, or what it opens was deleted."""
        if not 0 < len(token) <= TOKEN_CHARACTERS_MAX:
            return None
        live = (Share.revoked_ns.is_(None), (Share.expires_ns.is_(None)) | (Share.expires_ns > time.time_ns()))
        with self.db.read() as connection:
            query = select(*SHARE_COLUMNS).where(Share.token_sha256 == _hashed(token), *live)
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            share = ShareRow(*row)
            return None if _missing(connection, share.names) else share


def _missing(connection: Connection, names: list[str]) -> str | None:
    """Return one of these that is not there, None if all are."""
    explorations = {name.removeprefix("x/") for name in names if name.startswith("x/")}
    runs = {name for name in names if "/" not in name}
    found = set(connection.scalars(select(Run.id).where(Run.id.in_(runs), Run.deleted.is_(False))))
    if runs - found:
        return min(runs - found)
    left = explorations - set(connection.scalars(select(Exploration.id).where(Exploration.id.in_(explorations))))
    return f"x/{min(left)}" if left else None


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
