package p

var mode = 0o644
