// receive it
go()
