assert_equal(3, total)
