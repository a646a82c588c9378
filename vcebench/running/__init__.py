"""From a configuration to stored rows."""
