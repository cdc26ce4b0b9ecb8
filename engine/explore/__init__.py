"""Every interleaving of a small protocol: tables, their native code, the search, and what it found.

table.py, expressions.py   what was asked, checked          promela.py   the same, for SPIN
wording.py, lines.py       what is wrong with it, where
native.py                  its steps as machine code        layout.py    a state as few 64-bit words
search.py                  breadth-first, depth-first       walks.py     samples: random walks and PCT
explorer.py                all of it in order, to an answer  counting.py  schedules and traces of acyclic graphs
story.py, columns.py       a schedule told                  clocks.py    what of it had to come before what
exports.py, dot.py         the same for others' tools       shrink*.py   a smaller case      calm.py   fewer switches
"""
