"""Clips to the tensors an objective trains on, built for a whole batch at a time."""
