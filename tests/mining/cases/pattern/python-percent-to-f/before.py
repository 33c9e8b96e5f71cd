s = '%s!' % name
