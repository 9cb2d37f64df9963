"""The versions of distmarl and of its numbers, where every part of it can read them."""

__version__ = "0.1.0"

# Is part of what a setting is, and grows when the same setting gives other numbers: these are never mixed with the
# earlier ones. 2: rollouts draw small populations agent by agent, exact transitions move agents both ways at once.
NUMBERS = 2
