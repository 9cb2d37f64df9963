"""Speed and memory, measured as ratios in one run: ``python -m tests.benchmarks.<name>``.

Nothing here is asserted by the test suite; absolute times belong to a machine, ratios travel better.
"""
