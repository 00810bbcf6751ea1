"""``nixenv prove``: do what the JIT compilers do, and say what happened."""
