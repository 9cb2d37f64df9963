"""What a pair of policies is worth in the n-agent game."""
