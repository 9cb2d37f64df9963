"""python -m distmarl.sweep: a sweep file becomes tasks, the tasks become tables and figures."""
