"""What a GPU does otherwise than a CPU: one file a mechanism, with the same numbers."""
