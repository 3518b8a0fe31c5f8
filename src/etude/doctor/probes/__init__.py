"""One thing tried in each: `look(...)` returns what it saw. Run in a process of its own by `run_probe`."""
