"""The run folder: layout, manifest, metrics, checkpoints, results. Plain data, standard library only."""
