"""Image → RunOutcome."""
