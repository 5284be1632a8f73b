"""Tasks with checkable answers, and small language models trained on them from scratch.

``tasks``, ``modes`` and ``scoring`` are plain Python and know no server; ``network`` and ``training`` need torch. GGUF
files and load on a server are in :mod:`wattmark.serving.server.trained` and :mod:`wattmark.serving.prompts.reasoning`.
"""
