import os
import six
import sys

run(os, sys)
