"""What a person sees, with rich: coloured on a terminal, plain when piped."""
