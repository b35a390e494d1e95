"""Datasets: from a name in DAS to the files of an analysis, and what is done to them before a run."""
