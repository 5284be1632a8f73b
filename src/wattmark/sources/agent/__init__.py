"""Energy through the agent of the node, for those who may not read its sensors themselves."""
