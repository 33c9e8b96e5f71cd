names = rows.flat_map { |row| row.names }
