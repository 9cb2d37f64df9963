"""What happens in a game: how count vectors move, and how whole populations do."""
