"""NanoAOD-like ROOT files with sensible physics, made in seconds: for tests, demo and benchmarks.

``make_sample`` writes one file; ``write_golden_json`` writes the certification file that goes with data.
"""

from pocket_coffea.utils.make_sample.writer import KINDS, SampleInfo, make_sample, write_golden_json

__all__ = ["KINDS", "SampleInfo", "make_sample", "write_golden_json"]
