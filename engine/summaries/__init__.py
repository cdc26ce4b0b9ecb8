"""Compiled code that folds events into summaries while a run is played."""
