"""How a circuit learns: angles, heads, losses, gradients, optimisers, metrics and the trainer."""
