"""Sources of candidate actions: endpoints, checkpoints, the rule miner."""
