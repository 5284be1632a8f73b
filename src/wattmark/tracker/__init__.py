"""What a measured process loads: measure, span, events. Standard library only, since it starts with the user's program."""
