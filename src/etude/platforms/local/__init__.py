"""Background jobs on this machine: the same bundle, the same life, no account."""
