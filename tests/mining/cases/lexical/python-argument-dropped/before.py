super(Shape, self).draw(1)
