"""What these tests share with those of generation."""

from tests.generation.conftest import chat_server

__all__ = ["chat_server"]
