"""Batch systems: HTCondor and Slurm. Knows no physics."""
