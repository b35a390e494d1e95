"""Plots and tables of an output: data against simulation, comparisons, systematic shifts, cutflows."""
