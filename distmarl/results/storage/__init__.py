"""Where results lie: a disk or an object store, and the lock on it."""
