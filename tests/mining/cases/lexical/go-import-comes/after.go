package p

import (
	"fmt"
	"io"
	"os"
)
