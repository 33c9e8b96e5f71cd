package p

import (
	"fmt"
	"io/ioutil"
	"os"
)
