"""Worlds: the engine's own steps, tried in every order.

columns.py   which columns of a World make up a state
packing.py   a state's words, from and to the World's memory, in machine code
stepping.py  one move of one task, what it broke, and where nobody can move
subject.py   a scenario as the search sees it
facts.py     what there is to see in a world     telling.py   a schedule played and told, step by step
"""
