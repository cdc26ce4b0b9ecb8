"""Protocol tables and small scenarios that ship with the project, to begin with."""
