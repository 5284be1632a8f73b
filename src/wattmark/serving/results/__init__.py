"""What a load leaves for other programs and people: a record for every request, and tables of a sweep.

May import all of ``serving``; ``report`` makes a page of it.
"""
