"""What a pair of policies is worth: value iteration, exact returns, rollouts, intervals."""
