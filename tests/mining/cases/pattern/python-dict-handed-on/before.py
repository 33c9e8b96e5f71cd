user = Users.find("first", {"id": uid})
