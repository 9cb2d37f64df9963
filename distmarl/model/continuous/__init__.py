"""Games whose states are numbers: their grids of cells, their tables, and policies that act on numbers again."""
