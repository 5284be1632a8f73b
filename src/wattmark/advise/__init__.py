"""What to change and what it saves: power caps; what was saved stays saved: gates, budgets. May import all layers above."""
