"""The workers of a server: child processes that play runs, restarted when they die, stopped with the server; and the
store, looked after while they are busy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable

from app.children import environment
from app.settings import Settings
from app.store import Store
from app.store.jobs import RECOVER_S, worker_name
from engine.errors import FolioscopeError

log = logging.getLogger("folioscope")

STOP_S = 2.0
"""Grace period of a worker after SIGTERM; killing it at any moment loses no data."""
AGAIN_S, AGAIN_MOST_S = 0.5, 30.0
"""Delay before a dead worker is restarted, doubled whenever it dies within a minute."""


class Workers:
    """The workers, started when the code for a first run is compiled; the rest of the engine compiles in parallel."""

    def __init__(self, settings: Settings, store: Store, say: Callable[[str], None] | None) -> None:
        self.settings, self.store, self.say = settings, store, say
        self._children: set[asyncio.subprocess.Process] = set()
        self._keepers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start in the background."""
        self._keepers.append(asyncio.create_task(self._tend()))
        if self.settings.workers:
            self._keepers.append(asyncio.create_task(self._begin()))

    async def _begin(self) -> None:
        await self._run_once("engine.warm", "--first", forward=True)
        self._keepers += [asyncio.create_task(self._keep()) for _ in range(self.settings.workers)]
        await self._run_once("engine.warm", "--background", forward=False)

    async def _keep(self) -> None:
        clock, pause = asyncio.get_running_loop().time, AGAIN_S
        while True:
            began = clock()
            code = await self._run_once("app.runner", forward=False)
            pause = AGAIN_S if clock() - began > 60 else min(2 * pause, AGAIN_MOST_S)
            log.warning("a worker ended with %s: the next one starts in %.1f s", code, pause)
            await asyncio.sleep(pause)

    async def _tend(self) -> None:
        """Look after the store, also while all workers are busy, or none is there."""
        while True:
            await self._stored(self.store.tidy)
            await asyncio.sleep(RECOVER_S)

    async def _stored(self, work: Callable[[], object]) -> None:
        try:
            await asyncio.to_thread(work)
        except FolioscopeError as error:
            log.warning("the store could not be looked after: %s", error)

    async def _run_once(self, module: str, *arguments: str, forward: bool) -> int | None:
        """Run a module in a child process, forward its output, and return its exit code."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if forward else None,
            env=environment(self.settings),
        )
        self._children.add(child)
        try:
            while child.stdout and (line := await child.stdout.readline()):
                if self.say:
                    self.say(line.decode(errors="replace").rstrip())
            code = await child.wait()
        finally:
            if child.returncode is not None:
                self._children.discard(child)
        await self._stored(lambda: self.store.abandon(worker_name(child.pid)))
        return code

    async def stop(self) -> None:
        """Stop all workers: SIGTERM first, then SIGKILL."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        children = [child for child in self._children if child.returncode is None]
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(*(child.wait() for child in children))
        for child in children:
            if child.returncode is None:
                child.kill()
                await child.wait()
