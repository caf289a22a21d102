"""The append-only record of verdicts, and who may write it."""
