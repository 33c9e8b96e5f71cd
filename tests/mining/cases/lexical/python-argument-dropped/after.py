super().draw(1)
