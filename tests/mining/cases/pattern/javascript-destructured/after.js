const { name } = props
use(name)
