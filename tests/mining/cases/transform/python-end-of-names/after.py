from kit import LargeShelf, Shelf

shelf = Shelf()
large = LargeShelf(shelf)
