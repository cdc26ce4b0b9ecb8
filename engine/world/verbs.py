"""The verbs of all axes, as paths call them; each dispatches to the run's design (engine.world.dispatch)."""

from __future__ import annotations

from engine.world.dispatch import verb

grants_recorded = verb("grants_recorded")
wait_attach = verb("wait_attach")
wake_look = verb("wake_look")
wait_list = verb("wait_list")
wait_holds = verb("wait_holds")
wait_detach = verb("wait_detach")
flag_stale = verb("flag_stale")
page_queue_length = verb("queue_length")
read_mapping = verb("read_mapping")
kept_mapping = verb("kept_mapping")
write_mapping = verb("write_mapping")

leaks = verb("leaks")
settle = verb("settle")

mapping_holds = verb("mapping_holds")

protect_holds = verb("protect_holds")
protect_set = verb("protect_set")
protect_clear = verb("protect_clear")
protect_mapping = verb("protect_mapping")
