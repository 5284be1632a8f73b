"""Ways to learn a discrete density from samples: ALOE, persistent contrastive divergence, and an autoregressive density.

Each module has one :class:`~wattmark.workloads.ebm.methods.base.Method`; a further one is one file and a line in ``table``.
"""
