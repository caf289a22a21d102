"""surefoot: agents that take a million steps without a stumble.

import surefoot

report = await surefoot.run(surefoot.Towers(disks=10, style="compact"))  # by pebble, with reliability 0.99
print(report.solved, report.steps, report.votes)
"""

import lazy_loader

# Loaded when first used: a worker process or a guard of the embedded Redis needs a room or two, not LangGraph.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
