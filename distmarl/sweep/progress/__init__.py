"""Telling people how a sweep is going, and what it would do."""
