"""What is asked: synthetic prompts, files, published traces, reasoning tasks."""
