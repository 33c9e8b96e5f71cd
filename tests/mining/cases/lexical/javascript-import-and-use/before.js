import { old } from 'm'

old(1)
keep(2)
