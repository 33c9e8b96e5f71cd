const fs = require('fs')
fs.read()
