"""STEPS: the name of every place a task can be, and the function that is run there. The ladder is generated from it."""

from __future__ import annotations

STEPS: tuple[tuple[str, str], ...] = (
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
    ("STOP", "engine.mm.program.stop"),
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
    STOP,
) = range(len(STEPS))

LOCAL = frozenset({NEXT_OP, THINK, PICK, HOLD})
"""Steps that read and write nothing but their own task's row: in whichever order, all else goes on alike."""

# What a step may return in place of its cost in nanoseconds.
BLOCKED = -1
"""The task sleeps: somebody must wake it."""
SPIN = -2
"""The queue lock is taken: nothing was done, the step is to be tried again when the lock is free."""
OFF_CPU = 1 << 50
"""Added to a cost: the time passes without holding the CPU (thinking, I/O)."""
