"""Data sets: the embedded ones and readers of the published ones."""
