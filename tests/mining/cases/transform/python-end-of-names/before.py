from kit import LargeShelf2, Shelf2

shelf = Shelf2()
large = LargeShelf2(shelf)
