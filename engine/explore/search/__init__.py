"""The search itself, compiled: states, their successors, what was found, promises, samples."""
