"""Run untrusted programs and their tests, contained; verdicts that cannot be forged."""
