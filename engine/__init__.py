"""The wind tunnel: kernel paths in atomic steps, under competing designs. Knows nothing of app.

Paper half (the modules of this folder, designs' cards, recordings, litmus, scenarios): anyone may import it.
Machine half (world, mm, designs' steps, runs, summaries): compiled; the runner, the command line and tests load it.
"""

VERSION = "0.2.0"
"""Part of a run's identity: the same scenario, seed and version give the same events."""
