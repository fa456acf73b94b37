"""Measurements that anybody repeats with one line: `python -m benchmarks`."""
