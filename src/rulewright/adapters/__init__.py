"""The environment for other people's trainers: one file each, loaded by them."""
