import fs from 'fs'
fs.read()
