"""What the server keeps of decoded chunks and summaries: the newest used, up to so many bytes.

What is stored of a run never changes and its id is never used again, so nothing has to be thrown out but for room.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable
from typing import Any

from cachetools import LRUCache

from app.store import Store


class Cache:
    """Values by key, the least recently used dropped first. For many threads."""

    def __init__(self, bytes_max: int) -> None:
        self._most = bytes_max
        self._lock = threading.Lock()
        self._values: LRUCache[Hashable, tuple[int, Any]] = LRUCache(bytes_max, getsizeof=lambda sized: sized[0])

    def get(self, key: Hashable) -> Any:
        """Return the value, None if it is not kept."""
        with self._lock:
            found = self._values.get(key)
            return None if found is None else found[1]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of so many bytes, if it is no larger than a quarter of all room."""
        if size > self._most // 4:
            return
        with self._lock:
            self._values[key] = (size, value)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    @property
    def held(self) -> int:
        """Bytes kept now."""
        return int(self._values.currsize)


_caches: weakref.WeakKeyDictionary[Store, Cache] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def cache_of(store: Store) -> Cache:
    """Return the one cache of a store."""
    with _lock:
        if store not in _caches:
            _caches[store] = Cache(store.settings.cache_bytes)
        return _caches[store]
