"""Protocol tables: reading, checking, playing and shrinking them, without the engine."""
