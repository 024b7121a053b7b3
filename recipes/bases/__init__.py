"""Where a base comes from: its name or reference → BaseImage, with its layers in the store."""
