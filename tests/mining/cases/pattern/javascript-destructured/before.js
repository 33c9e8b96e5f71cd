const name = props.name
use(name)
