"""How policies are found: value iteration, G-LEARN, L-LEARN and their alternation."""
