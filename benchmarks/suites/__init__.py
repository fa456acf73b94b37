"""What is measured: a file a suite, each with its `measure`, which returns tables."""
