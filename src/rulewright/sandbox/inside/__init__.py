"""What runs inside a worker: standard library only, never imports the rest of rulewright.

A worker starts a bare interpreter on this folder, so that it can be another Python
(3.10 or newer) with other packages than the one that trains.
"""
