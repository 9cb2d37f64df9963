"""python -m distmarl.status: what a results folder tells of its sweep, running or not."""
