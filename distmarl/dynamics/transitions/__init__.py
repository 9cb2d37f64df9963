"""How count vectors move: one kind a file."""
