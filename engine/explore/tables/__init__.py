"""Protocol tables: read, checked, laid out and played without the engine."""
