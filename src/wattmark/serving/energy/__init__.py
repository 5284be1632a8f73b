"""Whose joules: the idle pot, what each request is charged, the cost of a token."""
