"""Published checkpoints: where they come from, how they are read, where they are kept."""
