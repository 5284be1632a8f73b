"""The command `llm`."""
