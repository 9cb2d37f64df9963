"""The games: ``robots``, and the look-up of a user's own by name."""
