"""A tool in another language: JSON arguments on stdin, JSON result on stdout."""

import collections
import json
import sys

arguments = json.load(sys.stdin)
words = collections.Counter(arguments["text"].lower().split())
json.dump({"words": sum(words.values()), "most_common": words.most_common(2)}, sys.stdout)
