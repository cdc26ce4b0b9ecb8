"""COSTS: every cost charged, in ns, with its source. A scenario may override each one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """ideal: only thinking, holding and the wake-up latency take time. estimate: roughly a two-socket server."""

    ideal: int
    estimate: int
    buys: str
    source: str


COSTS: dict[str, Cost] = {
    "wake_latency_ns": Cost(
        500, 2_000, "from the wake-up to the woken task's first instruction", "estimate, 1.5-3 us bare metal"
    ),
    "atomic_ns": Cost(
        0, 20, "one locked instruction on page->flags", "40-75 cycles for a line of another core, vendor"
    ),
    "entry_walked_ns": Cost(0, 40, "one wait entry looked at: one or two cache misses", "estimate, 20-60 ns"),
    "wake_call_ns": Cost(0, 1_000, "try_to_wake_up() within the walk", "about 1 us, measured by Kleen, August 2017"),
    "queue_lock_ns": Cost(0, 150, "queue spinlock taken or handed over", "estimate, 100-300 ns across sockets"),
    "fault_ns": Cost(0, 1_000, "page fault entered and left", "0.6-1.9 us for a minor fault, measured by others"),
    "flush_ns": Cost(0, 1_000, "TLB shoot-down of one address: its base", "about 1 us, Amit, ATC 2017, and estimates"),
    "flush_cpu_ns": Cost(0, 500, "and for each other CPU that runs the address space", "estimate, 0.2-1.5 us"),
    "flush_socket_ns": Cost(
        0, 300, "and more for each of them on another socket", "estimate, 100-300 ns for a line of another socket"
    ),
    "break_ns": Cost(
        0, 5_000, "a device flushes its caches and gives a page back", "estimate, several PCIe round trips"
    ),
    "host_page_ns": Cost(0, 40, "the host's memory is busy for 4 KiB that a device reads", "100 GB/s, estimate"),
    "compare_ns": Cost(0, 300, "one page read to compare it, or for its checksum", "150-320 ns cold, as a copy"),
    "line_ns": Cost(
        0, 80, "one cache line that no cache of this CPU holds", "60 ns local, 100 ns remote memory, vendor"
    ),
    "copy_ns": Cost(0, 250, "copy of 4 KiB in memory", "150-320 ns cold, 42-56 ns hot, measured"),
    "swap_ns": Cost(0, 10_000, "the swap device writes or reads 4 KiB", "estimate, compressed memory to flash"),
    "context_switch_ns": Cost(0, 1_500, "the CPU goes to the next task in line", "estimate, 1.5-3 us bare metal"),
}


def costs(preset: str, changed: dict[str, int | None]) -> dict[str, int]:
    """Return every cost in ns: the scenario's value if given, else the preset's."""
    return {
        name: given if (given := changed.get(name)) is not None else getattr(cost, preset)
        for name, cost in COSTS.items()
    }
