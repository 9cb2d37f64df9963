"""What a game is: its tables, its count vectors, its policies, its random streams."""
