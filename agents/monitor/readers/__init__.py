"""How the logs of other people's agents are read."""
