"""The wind tunnel: kernel paths in atomic steps, under competing designs. Knows nothing of app.

Paper half (this module, events, cast, errors, scenario, designs' cards, recordings): anyone may import it.
Machine half (state, mm, designs, timed, replay, play ..): compiled; the runner, the command line and tests load it.
"""

VERSION = "0.2.0"
"""Part of a run's identity: the same scenario, seed and version give the same events."""
