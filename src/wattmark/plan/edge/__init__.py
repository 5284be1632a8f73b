"""Energy dispatch of self-powered edge sites: a simulator, solutions by rules and linear programmes, and learners."""

from wattmark.plan.edge.scenario import Scenario, from_traces, synthetic
from wattmark.plan.edge.simulator import EdgeGrid, Flows, Site

__all__ = ["EdgeGrid", "Flows", "Scenario", "Site", "from_traces", "synthetic"]
