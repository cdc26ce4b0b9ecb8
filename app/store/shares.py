"""Share links: a token that opens some runs, read-only, until it expires or is revoked.

The token is told once and kept as its SHA-256, by which it is looked up: how long that takes tells nothing of how much
of a guess was right, and who reads the database cannot open a link.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time

from sqlalchemy import func, insert, select, update

from app.store.database import Database
from app.store.rows import SHARE_COLUMNS, ShareRow
from app.store.tables import Run, Share
from engine.errors import UserError

TOKEN_BYTES = 32
RUNS_MAX = 6
TOKEN_CHARACTERS_MAX = 200


class Shares:
    """The part of the store that manages share links."""

    db: Database

    def share(self, run_ids: list[str], view: str, expires_ns: int | None = None) -> tuple[ShareRow, str]:
        """Create a link to runs, opened at `view`; return it and its token. Raises UserError (no_run)."""
        if not 0 < len(run_ids) <= RUNS_MAX:
            raise UserError(f"a link shares 1 to {RUNS_MAX} runs, not {len(run_ids)}", field="runs")
        token, share_id = secrets.token_urlsafe(TOKEN_BYTES), secrets.token_hex(6)
        values = {
            "id": share_id,
            "token_sha256": _hashed(token),
            "run_ids": json.dumps(run_ids),
            "view": view,
            "created_ns": time.time_ns(),
            "expires_ns": expires_ns,
        }
        with self.db.write() as connection:
            there = select(Run.id).where(Run.id.in_(run_ids), Run.deleted.is_(False))
            missing = set(run_ids) - set(connection.scalars(there))
            if missing:
                text = f"there is no run {min(missing)[:80]}"
                raise UserError(text, code="no_run", field="runs", status=404)
            connection.execute(insert(Share).values(**values))
            row = connection.execute(select(*SHARE_COLUMNS).where(Share.id == share_id)).one()
            return ShareRow(*row), token

    def shares(self, run_id: str) -> list[ShareRow]:
        """Return the links to a run, newest first, including revoked ones."""
        query = select(*SHARE_COLUMNS).where(Share.run_ids.contains(run_id, autoescape=True))
        with self.db.read() as connection:
            rows = connection.execute(query.order_by(Share.created_ns.desc(), Share.id)).all()
        return [row for row in (ShareRow(*found) for found in rows) if run_id in json.loads(row.run_ids)]

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
        """Return the link of a token; None if the token is wrong, revoked or expired, or a run was deleted."""
        if not 0 < len(token) <= TOKEN_CHARACTERS_MAX:
            return None
        live = (Share.revoked_ns.is_(None), (Share.expires_ns.is_(None)) | (Share.expires_ns > time.time_ns()))
        with self.db.read() as connection:
            query = select(*SHARE_COLUMNS).where(Share.token_sha256 == _hashed(token), *live)
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            there = select(func.count()).where(Run.id.in_(json.loads(row.run_ids)), Run.deleted.is_(False))
            return ShareRow(*row) if connection.scalar(there) == len(json.loads(row.run_ids)) else None


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
