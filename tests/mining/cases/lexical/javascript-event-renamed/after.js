button.on('click', run)
