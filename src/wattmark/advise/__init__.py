"""What to change and what it saves: power caps; what was saved stays saved: gates and budgets. May import all layers above."""
