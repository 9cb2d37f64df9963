"""Stored tables to numbers, numbers to figures; nothing is trained or simulated here."""
