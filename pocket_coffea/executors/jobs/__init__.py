"""Manual jobs: one self-contained batch job for each slice of the datasets."""
