"""The compiled search: states, successors, results, liveness, samples."""
