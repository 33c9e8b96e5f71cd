# The worker keeps a queue of all the jobs that it was given and of those that it has not yet begun, and it is also told when a job ends before its time because of a failure.
run()
