"""Runs and periods as files to send: a page, a workbook, tables for LaTeX and Markdown, a card, a badge, a period's report.

Made from results alone (``RunResult``, ``Totals``, ``StudyResults``); nothing here measures.
"""
