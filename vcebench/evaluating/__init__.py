"""From a stored run to its metrics."""
