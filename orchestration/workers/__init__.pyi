"""What `surefoot.orchestration.workers` offers."""

from .on_ray import ClusterLost, NoRay, OnRay, stitch_on_ray
from .stitched import PartStands, StitchedReport, read_stitched
from .stitching import begin, stitch
from .working import work

__all__ = [
    "ClusterLost",
    "NoRay",
    "OnRay",
    "PartStands",
    "StitchedReport",
    "begin",
    "read_stitched",
    "stitch",
    "stitch_on_ray",
    "work",
]
