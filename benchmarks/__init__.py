"""What an activation costs, side by side with the plain bash walk that it replaces."""
