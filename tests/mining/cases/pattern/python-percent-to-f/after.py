s = f'{name}!'
