"""What uses the pipeline: many programs, many bases, more than one stage at a time."""
