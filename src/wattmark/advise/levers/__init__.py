"""Levers, tried on the user's own command: which there are, whether each applies, and what it saved here.

``lever`` is one change, ``catalogue`` has those that need no edit, ``subject`` is what a run of the command tells of
itself, ``hook`` acts inside its Python processes, ``script`` is ``wm.levers()``; ``race`` decides, ``trying`` does it all,
``result`` says what came of it, ``quality`` watches the outcome, ``serving`` knows the levers of a model server.
"""
