"""The energy of a network's training as the sum over its layers, each learnt on the device at hand (THOR, arXiv 2501.16397).

``tracing`` takes a ``torch.nn.Module`` apart into calls of known kinds, ``profiler`` measures variants of each kind and
``predictor`` adds up. torch and scikit-learn are imported where they are used only. May import ``errors`` ... ``studies``.
"""
