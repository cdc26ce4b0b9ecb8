"""Kernel paths in atomic steps, a file per kernel file that they model."""
