"""page->mapping holds the attachment; the mapping is kept in it. All under the page lock."""

from __future__ import annotations

from typing import Any

from engine.designs.protect.attachment.tables import ATTACHMENT_BASE, ATTACHMENT_BYTES
from engine.world.jit import inlined
from engine.world.state import World
from engine.world.verbs import kept_mapping, write_mapping


@inlined
def _word(w: World, page: int) -> int:
    return ATTACHMENT_BASE + page * ATTACHMENT_BYTES | w.rules.attach_tag


@inlined
def protect_holds(w: World, page: int) -> Any:
    return kept_mapping(w, page) == _word(w, page)


@inlined
def protect_set(w: World, task: int, page: int) -> None:
    w.attachments.base[page] = kept_mapping(w, page)
    write_mapping(w, task, page, _word(w, page))


@inlined
def protect_clear(w: World, task: int, page: int) -> None:
    """Restore the mapping that was kept, whatever page->mapping holds by now."""
    base = w.attachments.base[page]
    w.attachments.base[page] = 0
    write_mapping(w, task, page, base)


@inlined
def protect_mapping(w: World, page: int, seen: int) -> Any:
    """The helper follows the attachment."""
    if seen == _word(w, page):
        return w.attachments.base[page]
    return seen
