"""How policies are found: G-LEARN, L-LEARN and their alternation."""
