puts "recieve mail"
