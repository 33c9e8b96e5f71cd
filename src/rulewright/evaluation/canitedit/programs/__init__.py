"""Files that go into the sandbox beside a program of the benchmark."""
