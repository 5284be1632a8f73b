"""What a model is made of: parameters, multiply-accumulates, activations and bytes, by layer and in total.

``describe`` is the entry: a ``torch.nn.Module`` with an input shape, a fitted scikit-learn estimator, or the
name of a factory. May import ``errors`` ... ``impact``. Importing this package loads neither torch nor
scikit-learn.
"""

from wattmark.anatomy.entry import describe
from wattmark.anatomy.factory import call_factory, load_factory
from wattmark.anatomy.records import EstimatorAnatomy, Layer, ModelAnatomy, rows

__all__ = ["EstimatorAnatomy", "Layer", "ModelAnatomy", "call_factory", "describe", "load_factory", "rows"]
