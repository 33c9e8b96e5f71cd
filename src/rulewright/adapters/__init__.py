"""Adapters that offer the environment to other trainers, one file each."""
