"""Real cluster software in a folder of its own: sshd, SLURM; and a Kubernetes API server that runs pods as processes."""
