"""Joules of requests, in the server that answers them (``asgi``) and in the client that asks (``client``); ``flight`` says
whose they are where several go on at once."""
