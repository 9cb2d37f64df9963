"""What watches over tasks that run in the command's own process."""
