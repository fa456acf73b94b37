"""Where a mirror goes: folders, JSON lines, Parquet, object stores, or a `Sink` of your own."""
