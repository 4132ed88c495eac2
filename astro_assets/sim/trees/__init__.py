"""One module per source: names, headers and side files as that source has them.

What belongs here: how a frame is written down. What does not: what is in its pixels.
"""
