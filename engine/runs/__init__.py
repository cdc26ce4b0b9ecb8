"""Runs: a scenario or a recording played under one of three schedulers, into batches of events."""
