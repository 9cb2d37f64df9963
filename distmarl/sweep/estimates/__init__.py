"""What tasks take: time and memory, before they run."""
