"""Fuzzing of parsers, guided by an energy that was learnt from their valid inputs.

``coverage`` sees which branches ran, ``targets`` are parsers of ours and of the standard library, ``mutators`` change
inputs, ``windows`` is the energy (torch), ``campaign`` counts what a mutator reaches in so many executions.
"""
