"""A Ray of this machine or a cluster: starting or joining it, and noticing its end."""
