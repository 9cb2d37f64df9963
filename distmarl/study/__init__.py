"""What a sweep asks for, what is done and what is missing."""
