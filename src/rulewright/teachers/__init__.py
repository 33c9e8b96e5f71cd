"""Where candidate actions come from: endpoints, checkpoints, the rule miner."""
