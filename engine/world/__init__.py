"""A World: its arrays, what compiled code is and how it is found, what a step records."""
