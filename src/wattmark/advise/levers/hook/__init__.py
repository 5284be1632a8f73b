"""What acts inside the Python processes of a command that is tried; this folder is put first on their ``PYTHONPATH``.

``sitecustomize`` is found by Python itself, ``torch_side`` is loaded when PyTorch is. Neither needs Wattmark to be installed
there. Nothing of it breaks the work: what does not apply is reported.
"""
