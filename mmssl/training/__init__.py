"""The loop, its optimizers, checkpoints and ranks; none of it knows a method."""
