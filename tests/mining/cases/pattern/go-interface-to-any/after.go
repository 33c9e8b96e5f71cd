package p

var x any = 1
