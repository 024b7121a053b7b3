"""Measures × budget × baseline → what passes, what is too large, and what has changed."""
