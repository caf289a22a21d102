"""What `surefoot.agents.planner` offers."""

from .goal import Goal
from .state import Chosen, GoalState, Node, Part, PlannerAnswer, Proposal, Solved, outline

__all__ = ["Chosen", "Goal", "GoalState", "Node", "Part", "PlannerAnswer", "Proposal", "Solved", "outline"]
