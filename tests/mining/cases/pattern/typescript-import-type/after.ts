import type { A } from 'm'
let a: A
