"""Reinforcement learning of ponder by TRL's GRPO: rewards, advantages, recipes, rollouts, cards."""
