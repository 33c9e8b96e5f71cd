class Limits:
    low = 30
    high = 30
