"""The CanItEdit benchmark (Cassano et al. 2024): text and action tracks on one executor."""
