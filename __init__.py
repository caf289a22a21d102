"""surefoot: agents that take a million steps without a stumble."""
