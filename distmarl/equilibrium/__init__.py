"""How far a pair is from a Nash equilibrium, and from the best there is."""
