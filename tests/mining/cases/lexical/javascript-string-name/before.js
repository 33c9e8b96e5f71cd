import x from 'lodash/map'
x()
