"""Sample → Program."""
