"""The simulator: kernel paths in atomic steps, under competing designs. It does not import app.

Paper half (the modules of this folder, design cards, recordings, litmus, scenarios): any module may import it.
Machine half (world, mm, design steps, runs, summaries): compiled; the runner, the command line and tests load it.
"""

VERSION = "0.2.0"
"""Part of a run's identity: the same scenario, seed and version produce the same events."""
