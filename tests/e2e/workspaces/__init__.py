"""Two teams in two workspaces of one MLflow, each with a key that is bound to its own: neither reaches the other."""
