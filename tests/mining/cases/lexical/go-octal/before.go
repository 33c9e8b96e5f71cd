package p

var mode = 0644
