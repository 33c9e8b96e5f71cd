button.bind('click', run)
