"""What a long-horizon job is, step by step: the seam, and the tasks of this package."""
