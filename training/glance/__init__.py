"""How glance was made: `data`, `model`, `train`, `evaluate`."""
