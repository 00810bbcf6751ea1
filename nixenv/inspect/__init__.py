"""``nixenv inspect``: what is there, what is wrong with it, and what to do about it."""
