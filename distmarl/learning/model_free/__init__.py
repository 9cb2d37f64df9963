"""Learners that know no table of the game: they only play it, and learn from what they see."""
