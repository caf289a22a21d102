"""A family of micro drafts for ponder, and how often ponder accepts their tokens."""
