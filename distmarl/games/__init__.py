"""The games: one file each, and the look-up of a user's own."""
