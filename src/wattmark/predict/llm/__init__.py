"""Energy, time and power of serving a language model, said before it is bought or started: shape, physics, fit.

``architecture`` says what a model is made of, ``subject`` what is asked, ``physics`` what a step costs at least,
``predictor`` what it costs after the fit on measured servers, ``question`` is the door for people.
"""
