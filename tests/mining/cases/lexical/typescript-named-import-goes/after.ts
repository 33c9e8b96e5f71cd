import { a, b } from 'm'
use(a, b)
