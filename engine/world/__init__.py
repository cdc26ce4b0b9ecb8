"""The World: its arrays, its compiled code, and the events that steps record."""
