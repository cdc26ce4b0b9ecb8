"""Every interleaving of a small protocol or of a small scenario: the search, and what it found.

subject.py                 what the search asks of either      worlds/      scenarios: the engine's own steps
table.py, expressions.py   a table as numbers and trees        promela.py   the same, for SPIN
checking.py                read and checked before a search    cases.py     the matrix: designs, litmus tests
wording.py, lines.py       what is wrong with it, where        verdicts.py  what an answer says of a cell
native.py                  its steps as machine code           layout.py    a state as few 64-bit words
search.py, memory.py       breadth-first, depth-first          samples.py   random walks and PCT
compact.py                 states known by their hash          symmetry.py  which processes are equal
explorer.py                all of it in order                  plan.py      how to search, how far
found.py, answers.py       what was found                      counting.py  schedules and traces of acyclic graphs
liveness.py, components.py promises on fair paths              saving.py    a search kept, to go on
story.py, columns.py       a schedule told                     clocks.py    what of it had to come before what
exports.py, dot.py         the same for others' tools          shrink*.py   a smaller case    calm*.py   fewer switches
"""
