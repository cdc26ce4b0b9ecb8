"""Explore every interleaving of a small protocol or scenario, and report what was found.

tables/       protocol tables: read, checked before a search, as numbers and trees; examples to start from
worlds/       scenarios, in the engine's own steps
search/       breadth-first, depth-first and compacted search of either; samples, liveness, answers, checkpoints

plan.py, layout.py, symmetry.py      options and limits; states packed into 64-bit words; equal processes
cases.py, verdicts.py                the matrix of designs and litmus tests; the verdict of a cell
story.py, columns.py, clocks.py      a schedule for display; its columns; its happened-before order
exports.py, dot.py, promela.py       exports of it for other tools; the model for SPIN
shrink*.py, fewer_switches.py        smaller failing cases; fewer switches between processes
schedules.py, byhand.py, small.py    schedules as words; stepping by hand; size limits
"""
