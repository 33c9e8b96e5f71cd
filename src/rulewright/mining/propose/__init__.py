"""Guesses: rules that may make a change, one module for each way to write one."""
