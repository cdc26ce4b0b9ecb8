"""STEPS: every step at which a task can be, by name, and its function.

First the kernel's own paths, then the steps that designs add, in the order of the registry.
"""

from __future__ import annotations

from engine.designs import AXES

PATHS: tuple[tuple[str, str], ...] = (
    # name, module.function
    ("NEXT_OP", "engine.mm.program.next_op"),
    ("THINK", "engine.mm.program.think"),
    ("PICK", "engine.mm.program.pick"),
    ("HOLD", "engine.mm.program.hold"),
    ("LOCK_PAGE", "engine.mm.filemap.lock_page"),
    ("UNLOCK_PAGE", "engine.mm.filemap.unlock_page"),
    ("WAIT_PREPARE", "engine.mm.filemap.wait_prepare"),
    ("WAIT_ENQUEUE", "engine.mm.filemap.wait_enqueue"),
    ("WAIT_PUBLISH", "engine.mm.filemap.wait_publish"),
    ("WAIT_CHECK", "engine.mm.filemap.wait_check"),
    ("WAIT_RETRY", "engine.mm.filemap.wait_retry"),
    ("WAIT_SLEEP", "engine.mm.filemap.wait_sleep"),
    ("WAIT_FINISH", "engine.mm.filemap.wait_finish"),
    ("WAKE_BEGIN", "engine.mm.wake.wake_begin"),
    ("WAKE_ENTRY", "engine.mm.wake.wake_entry"),
    ("WAKE_PAUSE", "engine.mm.wake.wake_pause"),
    ("WAKE_RESUME", "engine.mm.wake.wake_resume"),
    ("WAKE_END", "engine.mm.wake.wake_end"),
    ("WAIT_ON_LOCKED", "engine.mm.filemap.wait_on_page_locked"),
    ("WAIT_ON_WRITEBACK", "engine.mm.writeback.wait_on_page_writeback"),
    ("WRITEBACK_BEGIN", "engine.mm.writeback.set_page_writeback"),
    ("WRITEBACK_END", "engine.mm.writeback.end_page_writeback"),
    ("WRITEBACK_WAKE", "engine.mm.writeback.end_page_writeback_wake"),
    ("WRITEBACK_PUT", "engine.mm.writeback.end_page_writeback_put"),
    ("SET_DIRTY", "engine.mm.writeback.set_page_dirty"),
    ("INSERT", "engine.mm.cache.add_to_page_cache"),
    ("DELETE", "engine.mm.cache.delete_from_page_cache"),
    ("LOOKUP", "engine.mm.cache.find_get_entry"),
    ("PUT", "engine.mm.cache.put_page"),
    ("TRUNCATE", "engine.mm.truncate.truncate_page"),
    ("TRUNCATE_CHECK", "engine.mm.truncate.truncate_check"),
    ("TRUNCATE_REMOVE", "engine.mm.truncate.truncate_remove"),
    ("WRITEBACK_SET", "engine.mm.writeback.writeback_set"),
    ("LOOKUP_LOCKED", "engine.mm.lookup.lookup_locked"),
    ("WRITE", "engine.mm.lookup.write_begin"),
    ("FAULT", "engine.mm.lookup.filemap_fault"),
    ("FIND_SLOT", "engine.mm.lookup.find_slot"),
    ("FIND_GET", "engine.mm.lookup.find_get"),
    ("FIND_AGAIN", "engine.mm.lookup.find_again"),
    ("FOUND_CHECK", "engine.mm.lookup.found_check"),
    ("FOUND_STALE", "engine.mm.lookup.found_stale"),
    ("WRITE_COPY", "engine.mm.lookup.write_copy"),
    ("FAULT_MAP", "engine.mm.lookup.fault_map"),
    ("FOUND_UNLOCK", "engine.mm.lookup.found_unlock"),
    ("FOUND_PUT", "engine.mm.lookup.found_put"),
    ("TRUNCATE_RANGE", "engine.mm.truncate_range.truncate_range"),
    ("RANGE_UNMAP", "engine.mm.truncate_range.range_unmap"),
    ("RANGE_NEXT", "engine.mm.truncate_range.range_next"),
    ("RANGE_TRYLOCK", "engine.mm.truncate_range.range_trylock"),
    ("RANGE_WAIT", "engine.mm.truncate_range.range_wait"),
    ("RANGE_CHECK", "engine.mm.truncate_range.range_check"),
    ("RANGE_CLEAN", "engine.mm.truncate_range.range_clean"),
    ("RANGE_REMOVE", "engine.mm.truncate_range.range_remove"),
    ("RANGE_PUT", "engine.mm.truncate_range.range_put"),
    ("RANGE_END", "engine.mm.truncate_range.range_end"),
    ("WAIT_ATTACH", "engine.mm.filemap.wait_on"),
    ("MIGRATE", "engine.mm.migrate.migrate_page"),
    ("MIGRATE_WAIT", "engine.mm.migrate.migrate_wait"),
    ("MIGRATE_NEW", "engine.mm.migrate.migrate_new"),
    ("MIGRATE_MOVE", "engine.mm.migrate.migrate_move"),
    ("MIGRATE_PUT", "engine.mm.migrate.migrate_put"),
    ("WRITEBACK_MAPPED", "engine.mm.rmap.writeback_mapped"),
    ("MKCLEAN", "engine.mm.rmap.page_mkclean"),
    ("MKCLEAN_END", "engine.mm.rmap.mkclean_end"),
    ("UNMAP_RANGE", "engine.mm.rmap.unmap_mapping_range"),
    ("UNMAP_PAGE", "engine.mm.rmap.unmap_page"),
    ("LOAD", "engine.mm.memory.load"),
    ("STORE", "engine.mm.memory.store"),
    ("MISSING", "engine.mm.memory.do_fault"),
    ("MISSING_CHECK", "engine.mm.memory.fault_check"),
    ("MISSING_MAP", "engine.mm.memory.fault_finish"),
    ("ANON_FAULT", "engine.mm.memory.do_anonymous_page"),
    ("WP_PAGE", "engine.mm.wp_page.do_wp_page"),
    ("WP_ANON_LOCKED", "engine.mm.wp_page.anon_locked"),
    ("WP_COPY", "engine.mm.wp_page.copy_begin"),
    ("WP_COPY_INSTALL", "engine.mm.wp_page.copy_install"),
    ("MKWRITE_CHECK", "engine.mm.wp_page.mkwrite_check"),
    ("MKWRITE_STABLE", "engine.mm.wp_page.mkwrite_stable"),
    ("MKWRITE_REUSE", "engine.mm.wp_page.mkwrite_reuse"),
    ("FAULT_PUT", "engine.mm.wp_page.fault_put"),
    ("PIN", "engine.mm.gup.get_user_page"),
    ("DMA", "engine.mm.gup.dma"),
    ("UNPIN", "engine.mm.gup.put_user_page"),
    ("FORK", "engine.mm.fork.copy_page_range"),
)

(
    NEXT_OP,
    THINK,
    PICK,
    HOLD,
    LOCK_PAGE,
    UNLOCK_PAGE,
    WAIT_PREPARE,
    WAIT_ENQUEUE,
    WAIT_PUBLISH,
    WAIT_CHECK,
    WAIT_RETRY,
    WAIT_SLEEP,
    WAIT_FINISH,
    WAKE_BEGIN,
    WAKE_ENTRY,
    WAKE_PAUSE,
    WAKE_RESUME,
    WAKE_END,
    WAIT_ON_LOCKED,
    WAIT_ON_WRITEBACK,
    WRITEBACK_BEGIN,
    WRITEBACK_END,
    WRITEBACK_WAKE,
    WRITEBACK_PUT,
    SET_DIRTY,
    INSERT,
    DELETE,
    LOOKUP,
    PUT,
    TRUNCATE,
    TRUNCATE_CHECK,
    TRUNCATE_REMOVE,
    WRITEBACK_SET,
    LOOKUP_LOCKED,
    WRITE,
    FAULT,
    FIND_SLOT,
    FIND_GET,
    FIND_AGAIN,
    FOUND_CHECK,
    FOUND_STALE,
    WRITE_COPY,
    FAULT_MAP,
    FOUND_UNLOCK,
    FOUND_PUT,
    TRUNCATE_RANGE,
    RANGE_UNMAP,
    RANGE_NEXT,
    RANGE_TRYLOCK,
    RANGE_WAIT,
    RANGE_CHECK,
    RANGE_CLEAN,
    RANGE_REMOVE,
    RANGE_PUT,
    RANGE_END,
    WAIT_ATTACH,
    MIGRATE,
    MIGRATE_WAIT,
    MIGRATE_NEW,
    MIGRATE_MOVE,
    MIGRATE_PUT,
    WRITEBACK_MAPPED,
    MKCLEAN,
    MKCLEAN_END,
    UNMAP_RANGE,
    UNMAP_PAGE,
    LOAD,
    STORE,
    MISSING,
    MISSING_CHECK,
    MISSING_MAP,
    ANON_FAULT,
    WP_PAGE,
    WP_ANON_LOCKED,
    WP_COPY,
    WP_COPY_INSTALL,
    MKWRITE_CHECK,
    MKWRITE_STABLE,
    MKWRITE_REUSE,
    FAULT_PUT,
    PIN,
    DMA,
    UNPIN,
    FORK,
) = range(len(PATHS))


def _of_designs() -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, f"{card.package}.steps.{name.lower()}")
        for cards in AXES.values()
        for card in cards.values()
        for name in card.steps
    )


STEPS: tuple[tuple[str, str], ...] = PATHS + _of_designs()
NUMBERS: dict[str, int] = {name: number for number, (name, _) in enumerate(STEPS)}
assert len(NUMBERS) == len(STEPS), "two steps have the same name"


def own_steps(axis: str, design: str) -> tuple[int, ...]:
    """Return the numbers of a design's own steps, in the order of its card."""
    return tuple(NUMBERS[name] for name in AXES[axis][design].steps)


LOCAL = frozenset({NEXT_OP, THINK, PICK, HOLD})
"""Steps that read and write only their own task's row, and so commute with all other steps."""

# What a step may return in place of its cost in nanoseconds.
BLOCKED = -1
"""The task sleeps until it is woken."""
SPIN = -2
"""The queue lock is taken: the step did nothing, and is retried when the lock is free."""
OFF_CPU = 1 << 50
"""Added to a cost: the time passes without holding the CPU (thinking, I/O)."""
