package p

var x interface{} = 1
