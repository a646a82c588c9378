"""A request carried out from end to end."""
