user = Users.where({"id": uid}).first
