"""What launchers of jobs say in the environment. Standard library only: a measured process loads it."""
