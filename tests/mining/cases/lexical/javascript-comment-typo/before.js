// recieve it
go()
