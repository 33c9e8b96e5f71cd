type A = 'large' | 'small'
