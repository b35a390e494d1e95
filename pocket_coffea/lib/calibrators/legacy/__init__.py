"""Calibrators of earlier data-taking campaigns and methods."""
