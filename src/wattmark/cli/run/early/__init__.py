"""``wattmark run --predict``: the command's output read on its way through, its progress, the prediction, the budget.

Loaded only where that was asked for, and only once the command runs.
"""
