"""The energy of a training from its network and the machine it runs on, nothing measured: M1 and M2 of arXiv 2307.05520.

``subject`` says what is asked, ``regression`` has the pipelines, ``predictor`` puts power and energy together. scikit-learn
is imported where it is used only. May import ``errors`` ... ``studies``.
"""
