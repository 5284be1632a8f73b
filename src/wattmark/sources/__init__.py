"""Where joules come from: one file per hardware family, one ``read`` method each.

Standard library and the sources' own bindings only, because the recorder imports this. May import ``errors`` and
``units``; never anything below.
"""
