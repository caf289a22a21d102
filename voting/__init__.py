"""How many answers become one decision: pure, no I/O, no clock, no model."""
