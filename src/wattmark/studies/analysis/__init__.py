"""What a study's results say: metrics, effects of factors, correlations, Pareto fronts, guidelines.

Pure functions from :class:`~wattmark.studies.results.StudyResults` to plain data; nothing is measured or drawn here.
Statistics need scipy (extra ``study``), metrics and tables only numpy.
"""

from __future__ import annotations

from wattmark.studies.analysis.data.metrics import METRICS, Metric, table
from wattmark.studies.analysis.data.summaries import CellSummary
from wattmark.studies.analysis.guidelines.training import Guideline
from wattmark.studies.analysis.whole import Analysis, analyse

__all__ = ["METRICS", "Analysis", "CellSummary", "Guideline", "Metric", "analyse", "table"]
