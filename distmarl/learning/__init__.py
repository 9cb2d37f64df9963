"""How policies are found (value iteration, G-LEARN, L-LEARN, their alternation) and what a pair is worth exactly."""
