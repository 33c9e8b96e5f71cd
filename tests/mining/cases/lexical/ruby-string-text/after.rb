puts "receive mail"
