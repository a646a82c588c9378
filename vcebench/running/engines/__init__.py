"""Who executes the plan: engines take batches of tries and hand back their outcomes."""
