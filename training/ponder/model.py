"""ponder's network is pebble's with one layer less, two tokens more and twice the context."""

from surefoot.training.pebble.model import Shape

from .data import CONTEXT, VOCABULARY

SHAPE = Shape(layers=3, vocabulary=VOCABULARY, positions=CONTEXT)
