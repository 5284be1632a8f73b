"""Trainings measured through the hooks of their framework: one file for each, over one :class:`~.session.Training`.

What a callback tells is spans named ``epoch`` and ``step`` like everybody's, so every surface shows them.
"""
