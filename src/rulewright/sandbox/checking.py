"""stub"""
from __future__ import annotations
from typing import Literal
Kind = Literal["script","pytest","unittest"]
class Checker:
    def __init__(self, run): self.run=run
