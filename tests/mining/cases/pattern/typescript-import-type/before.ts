import { A } from 'm'
let a: A
