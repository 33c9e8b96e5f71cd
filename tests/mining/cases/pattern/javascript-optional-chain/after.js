const n = a?.b
