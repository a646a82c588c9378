"""Networks by role."""
