"""Layers or a folder → RootFs, a closed world."""
