"""Our tasks, one module for each family; each names its data, its models and its score."""
