"""The game as other libraries know games, for their learners; and their policies as tables."""
