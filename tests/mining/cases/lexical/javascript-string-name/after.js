import x from 'lodash-es/map'
x()
