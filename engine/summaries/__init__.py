"""Events folded into summaries by compiled code, as a run is played."""
