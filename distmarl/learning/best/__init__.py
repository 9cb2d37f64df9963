"""The best pairs: starts and searches, answers of several kinds, and what decides between them."""
