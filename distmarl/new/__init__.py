"""The command that starts a sweep of one's own."""
