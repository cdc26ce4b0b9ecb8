"""Worlds: the engine's own steps, explored in every order.

columns.py   which columns of a World make up a state
packing.py   pack and unpack a state's words from and to the World's memory, in machine code
stepping.py  one move of one task, what it broke, and states in which no task can move
subject.py   a scenario as the search sees it
facts.py     a world's observable facts
telling.py   play a schedule and report each step
"""
