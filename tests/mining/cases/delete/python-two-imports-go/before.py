import os
import old_kit
import older_kit
run()
