"""What to change and what it saves; what was saved stays saved: gates and budgets. May import all layers above."""
