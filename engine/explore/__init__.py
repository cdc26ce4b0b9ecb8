"""Every interleaving of a small protocol or of a small scenario: the search, and what it found.

tables/       a protocol table, read and checked before a search, as numbers and trees; examples to begin with
worlds/       scenarios: the engine's own steps
search/       the search of either: breadth-first, depth-first, by hash; samples, promises, answers, checkpoints

plan.py, layout.py, symmetry.py      how to search, how far; a state as few 64-bit words; which processes are equal
cases.py, verdicts.py                the matrix of designs and litmus tests; what an answer says of a cell
story.py, columns.py, clocks.py      a schedule told; what of it had to come before what
exports.py, dot.py, promela.py       the same for others' tools, and the model for SPIN
shrink*.py, fewer_switches.py        a smaller case, and fewer switches between processes
schedules.py, byhand.py, small.py    schedules as words; one step at a time; what is small enough
"""
