"""Protocol tables that ship with the project, to begin with."""
