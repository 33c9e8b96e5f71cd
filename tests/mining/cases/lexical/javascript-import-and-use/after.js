import { fresh } from 'm'

fresh(1)
keep(2)
