"""When to run: the time of the least carbon before a deadline, in one piece or in several, from a series of the grid."""

from wattmark.plan.forecast import Forecast, forecast
from wattmark.plan.question import Plan, plan
from wattmark.plan.schedule import Controller, Option, best_pieces, best_start, start_now

__all__ = [
    "Controller",
    "Forecast",
    "Option",
    "Plan",
    "best_pieces",
    "best_start",
    "forecast",
    "plan",
    "start_now",
]
