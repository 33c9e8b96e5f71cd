class Limits:
    low = 60
    high = 60
