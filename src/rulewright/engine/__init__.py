"""Apply actions to code exactly as the pinned ast-grep does, and judge the result."""
