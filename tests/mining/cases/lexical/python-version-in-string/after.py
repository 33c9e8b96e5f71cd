pin("kit==1.5.0")
