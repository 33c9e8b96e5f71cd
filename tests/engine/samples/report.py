"""Counts words."""

import os
from collections import Counter


class Report:
    def __init__(self, path, limit=None):
        self.path = path
        self.limit = limit
        self._counts = Counter()

    def read(self):
        if not os.path.exists(self.path):
            raise ValueError("no such file: %s" % self.path)
        with open(self.path) as stream:
            for line in stream:
                words = [word.lower() for word in line.split() if word != None]
                self._counts.update(words)

        return self

    async def top(self, n=10, *, skip=("a", "the")):
        result = []
        for word, count in self._counts.most_common():
            if word in skip:
                continue
            elif len(result) >= n:
                break
            else:
                result.append((word, count))
        try:
            print("found", len(result), "words")
        except (OSError, ValueError) as error:
            return None
        finally:
            self.limit = {
                "n": n,
                "skip": list(skip),
            }
        return result


def main(argv=None):
    report = Report(argv[1] if argv else "text.txt").read()
    if report.limit == None:
        print(report._counts["x"], report.path)
    lookup = lambda key: report._counts.get(key, 0)
    return lookup("y") + lookup("z")
