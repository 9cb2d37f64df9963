"""What nobody can earn more than, whatever the policies: upper bounds that hold for every number of agents."""
