"""Figures of studies that serve language models."""
