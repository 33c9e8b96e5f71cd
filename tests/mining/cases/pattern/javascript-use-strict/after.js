'use strict'

const a = 1
run(a)
