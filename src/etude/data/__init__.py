"""Demonstrations: where they lie, whether they are sound, and the way from them to batches."""
