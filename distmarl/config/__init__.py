"""What the user writes: a YAML or JSON file, checked and resolved into settings."""
