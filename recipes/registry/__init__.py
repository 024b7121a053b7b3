"""Registries, without a daemon: images into the store, and from the store."""
