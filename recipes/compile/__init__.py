"""Sample → Binary."""
