"""Power caps: which one to set, found in a few short windows; set with consent, and always put back."""

from wattmark.advise.cap.choice import Goal, choose
from wattmark.advise.cap.curve import CapCurve, Window
from wattmark.advise.cap.search import CapSearch

__all__ = ["CapCurve", "CapSearch", "Goal", "Window", "choose"]
