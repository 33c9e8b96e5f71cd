"""What is carried from one step to the next, and the steps themselves (docs/reference/formats.md)."""
