"""The verbs of the console script, one file each; imported only when asked for."""
