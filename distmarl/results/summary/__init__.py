"""What the tables say together: means over seeds and trainings, their intervals and differences."""
