"""The command that lists games, shows them and checks them."""
