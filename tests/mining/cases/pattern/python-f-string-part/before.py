x = f"{a}: none"
