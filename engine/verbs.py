"""The verbs of all axes as paths call them; which design answers is the run's (ladders from engine.dispatch)."""

from __future__ import annotations

from engine.dispatch import verb

lock_path = verb("lock_path")
unlock_path = verb("unlock_path")
recorded_wake = verb("recorded_wake")
wait_attach = verb("wait_attach")
wake_look = verb("wake_look")
wait_list = verb("wait_list")
wait_holds = verb("wait_holds")
wait_linked = verb("wait_linked")
wait_detach = verb("wait_detach")
flag_stale = verb("flag_stale")
queue_shown = verb("queue_shown")
queue_length = verb("queue_length")
line_length = verb("line_length")
read_mapping = verb("read_mapping")
kept_mapping = verb("kept_mapping")
write_mapping = verb("write_mapping")

mapping_holds = verb("mapping_holds")
