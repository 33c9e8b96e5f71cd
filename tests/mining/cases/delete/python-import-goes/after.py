import os
import sys

run(os, sys)
