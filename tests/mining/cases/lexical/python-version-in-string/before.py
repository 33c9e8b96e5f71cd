pin("kit==1.4.2")
