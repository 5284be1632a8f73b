"""What runs models: sentence encoders, language models behind llama.cpp, ONNX files, image classifiers, Hugging Face names.

Each module imports its framework when a model is opened, and raises MissingExtra where it is not installed.
"""
