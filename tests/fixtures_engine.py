"""A private Docker Engine for the tests."""
