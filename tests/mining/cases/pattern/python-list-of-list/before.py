names = list([first, last])
