package p

import "example.org/old/pkg"
