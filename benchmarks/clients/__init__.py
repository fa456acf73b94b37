"""Who is measured: a file a family. Each runs as a process of its own; `frame` says how."""
