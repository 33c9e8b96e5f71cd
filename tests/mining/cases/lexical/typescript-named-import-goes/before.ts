import { a, legacyThing, b } from 'm'
use(a, b)
