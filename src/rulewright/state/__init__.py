"""The state between steps, and the steps themselves (docs/reference/formats.md)."""
