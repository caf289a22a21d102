"""How a run of steps is executed: voted, chained, speculated on."""
