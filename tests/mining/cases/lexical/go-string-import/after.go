package p

import "example.org/new/pkg"
