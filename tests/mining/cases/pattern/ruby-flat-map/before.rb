names = rows.map { |row| row.names }.flatten
