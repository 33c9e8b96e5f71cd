import os
run()
