first.close_now()
second.close_now()
