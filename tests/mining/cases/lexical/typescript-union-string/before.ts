type A = 'big' | 'small'
