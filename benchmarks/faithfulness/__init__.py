"""Measures of explanations, and methods that they compare."""
